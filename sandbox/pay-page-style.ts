/** The look shared by all providers' pay pages. Inlined with a hash, so the pages load nothing. */
export const PAY_PAGE_CSS = `
:root {
  color-scheme: light dark;
  --page: #f3f5f8; --card: #fff; --side: #f9fafc; --ink: #17202e; --soft: #5c6878; --line: #d9dfe7;
  --accent: #1f5eff; --accent-ink: #fff; --good: #0b7a48; --good-bg: #e4f6ec; --bad: #b3261e; --bad-bg: #fdecea;
  --note-bg: #fff6dd; --note: #6d5200;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10151d; --card: #19202b; --side: #151b25; --ink: #eef2f7; --soft: #a2aebd; --line: #313c4c;
    --accent: #6c97ff; --accent-ink: #0c1322; --good: #63d69c; --good-bg: #12301f; --bad: #ff9a91; --bad-bg: #3a1a18;
    --note-bg: #332a10; --note: #f0d489;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; min-height: 100vh; padding: 24px 16px; background: var(--page); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
  display: flex; flex-direction: column; align-items: center; justify-content: center; gap: 16px;
}
.note { margin: 0; padding: 6px 14px; border-radius: 999px; background: var(--note-bg); color: var(--note); font-size: 14px; text-align: center; }
main {
  width: 100%; max-width: 860px; display: grid; grid-template-columns: 5fr 6fr; overflow: hidden;
  background: var(--card); border: 1px solid var(--line); border-radius: 16px; box-shadow: 0 12px 32px rgb(16 24 40 / 10%);
}
main.single { max-width: 460px; grid-template-columns: 1fr; }
.summary { padding: 36px 32px; background: var(--side); border-right: 1px solid var(--line); display: flex; flex-direction: column; gap: 4px; }
.merchant { display: flex; align-items: center; gap: 10px; margin: 0 0 28px; font-weight: 600; }
.badge {
  width: 36px; height: 36px; border-radius: 10px; background: var(--accent); color: var(--accent-ink);
  display: grid; place-items: center; font-weight: 700;
}
.description { margin: 0; color: var(--soft); overflow-wrap: anywhere; }
.amount { margin: 0; font-size: 36px; line-height: 1.2; font-weight: 700; letter-spacing: -0.02em; font-variant-numeric: tabular-nums; overflow-wrap: anywhere; }
.facts { margin: 24px 0 0; padding-top: 20px; border-top: 1px solid var(--line); display: grid; gap: 12px; font-size: 14px; }
.facts dt { color: var(--soft); }
.facts dd { margin: 0; overflow-wrap: anywhere; font-variant-numeric: tabular-nums; }
.pay { padding: 36px 32px; }
h1 { margin: 0 0 20px; font-size: 20px; line-height: 1.3; }
form { display: grid; gap: 16px; }
label { display: block; font-size: 14px; font-weight: 600; margin-bottom: 6px; }
input:not([type=checkbox]), select {
  width: 100%; padding: 11px 12px; font: inherit; color: inherit; background: var(--card);
  border: 1px solid var(--line); border-radius: 9px; font-variant-numeric: tabular-nums;
}
input:focus-visible, select:focus-visible, button:focus-visible { outline: 3px solid color-mix(in srgb, var(--accent) 45%, transparent); outline-offset: 1px; border-color: var(--accent); }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 16px; align-items: end; }
.terms { display: flex; gap: 10px; align-items: flex-start; font-weight: 400; color: var(--soft); margin: 0; }
.terms input { width: 18px; height: 18px; margin: 2px 0 0; accent-color: var(--accent); flex: none; }
button { font: inherit; font-weight: 600; padding: 12px 16px; border-radius: 10px; border: 1px solid transparent; cursor: pointer; width: 100%; }
#pay { background: var(--accent); color: var(--accent-ink); }
#pay:hover { filter: brightness(1.08); }
.cancel { margin-top: 10px; }
#cancel { background: none; color: var(--soft); }
#cancel:hover { color: var(--ink); text-decoration: underline; }
.message { margin: 0 0 20px; padding: 12px 14px; border-radius: 10px; background: var(--bad-bg); color: var(--bad); font-size: 15px; }
.state { padding: 44px 32px; text-align: center; }
.state .amount { margin: 4px 0 8px; }
.mark { width: 60px; height: 60px; margin: 0 auto 18px; border-radius: 50%; display: grid; place-items: center; font-size: 28px; font-weight: 700; background: var(--bad-bg); color: var(--bad); }
.mark.good { background: var(--good-bg); color: var(--good); }
.state h1 { margin-bottom: 8px; }
.state p { margin: 0; color: var(--soft); }
.state p.amount { color: var(--ink); }
.state .facts { text-align: left; grid-template-columns: auto 1fr; column-gap: 20px; }
.state .facts dd { text-align: right; }
@media (max-width: 680px) {
  body { justify-content: flex-start; padding: 12px; }
  main { grid-template-columns: 1fr; border-radius: 12px; }
  .summary { padding: 24px 20px; border-right: 0; border-bottom: 1px solid var(--line); }
  .merchant { margin-bottom: 16px; }
  .pay, .state { padding: 24px 20px; }
  .amount { font-size: 30px; }
}
`;
