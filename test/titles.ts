/** Titles where tests, groups of tests and the conformance kit's questions have theirs. */
export function hasTitle(source: string, title: string): boolean {
  const quoted = ["'", '"', '`'].map((quote) => `${quote}${title}${quote}`);
  return quoted.some((literal) => {
    for (let at = source.indexOf(literal); at >= 0; at = source.indexOf(literal, at + 1)) {
      if (/(\b(it|describe)(\.\w+)*\(|\)\(|\bname: )\s*$/.test(source.slice(0, at))) return true;
    }
    return false;
  });
}
