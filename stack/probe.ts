/** `node probe.js URL`: exits 0 if it answers 2xx. The health check of images that have no curl. */
const [url] = process.argv.slice(2);
const ok = await fetch(url ?? '', { signal: AbortSignal.timeout(2_500) }).then(
  (response) => response.ok,
  () => false,
);
process.exit(ok ? 0 : 1);
