import { heldBy, type Protection } from './off.ts';

const API = 'gateway/api.ts';
const LIMITS = 'gateway/limits.ts';
const JSON_READER = 'gateway/json.ts';

/** What callers may do and say, and what either listener may cost. */
export const EDGE: readonly Protection[] = [
  {
    rule: 'without keys nobody beyond this machine is served',
    off: [{ file: 'gateway/server.ts', from: 'if (!keys && !isLoopback(host)) {', to: 'if (!keys && !host) {' }],
    test: heldBy('pure', 'gateway-access', 'refuses to listen where other machines reach it'),
  },
  {
    rule: 'without keys only a loopback name is served',
    off: [
      {
        file: 'gateway/auth.ts',
        from: "if (!local) throw new Problem(403, 'forbidden', 'Without",
        to: "if (local === undefined) throw new Problem(403, 'forbidden', 'Without",
      },
    ],
    test: heldBy('pure', 'attack-api', 'S21: a name that a header forwards is not the name that was called'),
  },
  {
    rule: 'without keys no page of another origin is served',
    off: [
      {
        file: 'gateway/auth.ts',
        from: 'if (origin !== undefined && origin !== `http://${host}`) {',
        to: "if (origin === '') {",
      },
    ],
    test: heldBy('pure', 'gateway-access', 'an Origin that is not this listener is refused'),
  },
  {
    rule: 'a caller proves that he has the key',
    off: [
      {
        file: 'gateway/auth.ts',
        from: 'if (timingSafeEqual(key.sha256, digest)) found = key;',
        to: 'if (timingSafeEqual(key.sha256, digest) || presented.length > 8) found = key;',
      },
    ],
    test: heldBy('pure', 'gateway-access', 'Authorization %j: 401', '"Bearer nobody-key"'),
  },
  {
    rule: 'a role does no more than its own',
    off: [{ file: API, from: '      requireRole(principal, route.role);\n', to: '' }],
    test: heldBy('pure', 'gateway-access', '%s %s: roles'),
  },
  {
    rule: "another tenant's link is no link",
    off: [
      {
        file: API,
        from: "if (principal.accounts !== '*' && !maySee(principal, (await links.get(reference)).account)) {",
        to: "if (principal.accounts !== '*' && !(await links.get(reference))) {",
      },
    ],
    test: heldBy('pure', 'gateway-access', "%s %s: another tenant's link is no link"),
  },
  {
    rule: 'a link is made on accounts of the caller only',
    off: [{ file: API, from: 'if (!account || !maySee(principal, request.account)) {', to: 'if (!account) {' }],
    test: heldBy('pure', 'gateway-access', 'creating: role and account'),
  },
  {
    rule: 'a list shows what is of the caller’s accounts',
    off: [{ file: API, from: "...(seen === '*' ? {} : { accounts: [...seen] })", to: '...(seen ? {} : {})' }],
    test: heldBy('pure', 'gateway-access', 'the %s shows the accounts of the key'),
  },
  {
    rule: 'an unmatched webhook is closed by those who may operate its account',
    off: [
      {
        file: API,
        from: 'if (!maySee(principal, account)) throw new NotFound(about',
        to: "if (account === '') throw new NotFound(about",
      },
    ],
    test: heldBy(
      'pure',
      'gateway-access',
      'an unmatched webhook is closed by those who may operate its account, under their name',
    ),
  },
  {
    rule: 'a command that moves money has a key',
    off: [{ file: API, from: 'if (header === undefined && !required)', to: 'if (header === undefined)' }],
    test: heldBy('pure', 'gateway', '%s wants an Idempotency-Key and says so'),
  },
  {
    rule: 'a caller asks no more often than he may',
    off: [{ file: API, from: '      if (keys) requireRate(principal);\n', to: '' }],
    test: heldBy('pure', 'attack-api', 'a caller who asks too often is told when to come again; others are served'),
  },
  {
    rule: 'fields that are not the caller’s are refused',
    off: [{ file: 'workflows/schema.ts', from: 'createRequest = z.strictObject({', to: 'createRequest = z.object({' }],
    test: heldBy('pure', 'attack-api', '%s refuses each by name, and goes no further'),
  },
  {
    rule: 'an amount is an integer of minor units',
    off: [{ file: 'workflows/schema.ts', from: 'minor: z.int().positive(', to: 'minor: z.number().positive(' }],
    test: heldBy('pure', 'gateway-input', '%s', 'fractional'),
  },
  {
    rule: 'an amount is above nothing',
    off: [{ file: 'workflows/schema.ts', from: "z.int().positive('must be greater than 0')", to: 'z.int()' }],
    test: heldBy('pure', 'gateway-input', '%s', 'negative'),
  },
  {
    rule: 'a key of JSON stands there once',
    off: [
      {
        file: JSON_READER,
        from: "          if (level.keys.has(key)) return { pointer: pointer(), message: 'appears twice' };\n",
        to: '',
      },
    ],
    test: heldBy('pure', 'gateway-input', '%s', 'a key given twice'),
  },
  {
    rule: 'no JSON changes what objects are',
    off: [{ file: JSON_READER, from: "if (key === '__proto__')", to: "if (key === '')" }],
    test: heldBy('pure', 'gateway-input', 'refuses %s, naming %s', '{"a":{"__proto__":1}}'),
  },
  {
    rule: 'JSON has 32 levels at most',
    off: [{ file: JSON_READER, from: 'if (levels.length === MAX_DEPTH)', to: 'if (levels.length > 1_000_000)' }],
    test: heldBy('pure', 'gateway-input', 'JSON that is %s: 400 invalid_json', 'deeper than 32 levels'),
  },
  {
    rule: 'a call has 256 KB at most',
    off: [
      {
        file: API,
        from: 'readBody(c.req.raw, limits.apiBody, limits.drain)',
        to: 'readBody(c.req.raw, limits.drain, limits.drain)',
      },
    ],
    test: heldBy('pure', 'gateway-limits', 'takes 256 KB and not a byte more, however the length is told'),
  },
  {
    rule: 'a webhook has 64 KB at most',
    off: [
      {
        file: 'gateway/webhooks.ts',
        from: 'readBody(c.req.raw, limits.webhookBody, limits.drain)',
        to: 'readBody(c.req.raw, limits.drain, limits.drain)',
      },
    ],
    test: heldBy('parts', 'webhook-listener', '64 KB and not a byte more, before any signature is looked at'),
  },
  {
    rule: 'packed bodies are not unpacked',
    off: [{ file: LIMITS, from: "encoding.trim().toLowerCase() !== 'identity'", to: "encoding.trim() === ''" }],
    test: heldBy('pure', 'gateway-input', 'a compressed body: 415'),
  },
  {
    rule: 'headers have 16 KB at most',
    off: [{ file: LIMITS, from: 'maxHeaderSize: 16 * 1024', to: 'maxHeaderSize: 64 * 1024' }],
    test: heldBy('pure', 'gateway-limits', 'headers above 16 KB: 431 as a problem'),
  },
  {
    rule: 'a listener has so many connections at most',
    off: [{ file: 'gateway/server.ts', from: '  server.maxConnections = limits.connections;\n', to: '' }],
    test: heldBy('pure', 'gateway-limits', 'connections beyond the cap are closed'),
  },
  {
    rule: 'who does not read his answers keeps no place',
    off: [{ file: 'gateway/server.ts', from: '  server.timeout = limits.silentMs;\n', to: '' }],
    test: heldBy('pure', 'attack-api', 'who asks and does not read keeps no place'),
  },
  {
    rule: 'a log holds what it knows by name',
    off: [
      {
        file: 'gateway/log.ts',
        from: 'for (const name of ALLOWED) {',
        to: 'for (const name of Object.keys(entry) as (keyof Entry)[]) {',
      },
    ],
    test: heldBy('pure', 'attack-news', 'writes only what it knows by name, whatever it is given'),
  },
  {
    rule: 'providers send news over https',
    off: [
      {
        file: 'gateway/environment.ts',
        from: "const secure = url?.protocol === 'https:' || ",
        to: "const secure = url?.protocol === 'http:' || ",
      },
    ],
    test: heldBy('pure', 'gateway-access', 'lists everything that is wrong at once'),
  },
];
