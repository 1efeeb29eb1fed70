import { Scalar } from '@scalar/hono-api-reference';
import type { Context } from 'hono';
import { html } from 'hono/html';

/** The part of an OpenAPI document that the page without scripts shows. */
interface Document {
  info: { title: string; description?: string };
  paths?: Record<string, Record<string, { summary?: string; responses?: Record<string, { description?: string }> }>>;
}

/** Scalar's page loads the reference from here: a release that stays as it is. */
const SCALAR = 'https://cdn.jsdelivr.net/npm/@scalar/api-reference@1.72.1';

/**
 * What the page may do. The script is not ours and runs at the API's own origin, so it can call nothing: the document
 * is in the page, and "try it" is left out.
 */
const POLICY = [
  "default-src 'none'",
  `script-src ${SCALAR} 'unsafe-inline'`,
  "style-src 'unsafe-inline'",
  "img-src 'self' data:",
  "connect-src 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Whatever calls out, or offers to. */
const QUIET = {
  hideTestRequestButton: true,
  hideClientButton: true,
  showDeveloperTools: 'never',
  telemetry: false,
  withDefaultFonts: false,
  agent: { disabled: true },
  mcp: { disabled: true },
} as const;

/**
 * The API for people: Scalar's reference, and under it a plain list for a reader without the internet. Made once:
 * whoever reaches the listener may ask for it, and it is expensive.
 */
export function docsPage(documentOf: () => object): (c: Context) => Promise<Response> {
  let page: Promise<string> | undefined;
  return async (c) => {
    page ??= pageOf(c, documentOf());
    const text = await page;
    c.header('content-security-policy', POLICY);
    return c.html(text);
  };
}

async function pageOf(c: Context, document: object): Promise<string> {
  const page = await Scalar({
    ...QUIET,
    pageTitle: 'Perdure API',
    cdn: SCALAR,
    content: document as Record<string, unknown>,
  })(c, async () => {});
  const text = await (page as Response).text();
  const list = `<div id="plain">${plainList(document as Document)}</div>`;
  const hide = "<script>if (window.Scalar) document.getElementById('plain').remove()</script>";
  return text.replace('</body>', () => `${list}${hide}</body>`);
}

function plainList({ info, paths = {} }: Document): string {
  const rows = Object.entries(paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(
      ([method, { summary, responses = {} }]) => html`<dt><code>${method.toUpperCase()} ${path}</code> ${summary}</dt>
${Object.entries(responses).map(([status, { description }]) => html`<dd>${status} ${description}</dd>`)}`,
    ),
  );
  return html`<main style="font: 16px/1.5 system-ui; max-width: 60rem; margin: 2rem auto; padding: 0 1rem">
<h1>${info.title}</h1><p>${info.description} Machine-readable: <a href="/openapi.json">/openapi.json</a></p>
<dl>${rows}</dl></main>`.toString();
}
