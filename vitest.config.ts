import { defineConfig } from 'vitest/config';

/** Whole stacks as processes: they get the machine to themselves. */
const MAINS = ['test/demo.test.ts', 'test/start.test.ts'];

/** What takes minutes: `npm run long`. */
const LONG = ['test/{attack-process,chaos,crash,deploy}.test.ts', 'test/system/{attack,isolation,model,race}.test.ts'];

/** The same, of pure code. */
const LONG_PURE = ['test/model.test.ts'];

/** Minutes, of tests that run tests: `npm run protections`. */
const OFF = ['test/protections-off.test.ts'];

/** No Temporal, no process-wide settings: these share their modules, which are most of what loading them costs. */
const PURE = [
  'test/{accounts,after-end,arrows,docs,facts,http,money,protections,reliability,requests,returns,shared-reads,zoned-time}.test.ts',
  'test/{paymennt,paymob,boomfi,beqelal,katu9,activities}*.test.ts',
  'test/{sandbox,gateway}*.test.ts',
  'test/attack-{api,news,provider,startup,webhooks}.test.ts',
  'test/*-life.test.ts',
  'test/chaos-checker.test.ts',
];

// Real servers on shared machines: a test that was late is asked again, and what fails three times is broken.
const limits = { testTimeout: 60_000, hookTimeout: 120_000, retry: 2 };

export default defineConfig({
  test: {
    globalSetup: ['test/bundle.ts'],
    projects: [
      { test: { name: 'pure', include: PURE, isolate: false, ...limits } },
      {
        test: {
          name: 'parts',
          include: ['test/*.test.ts'],
          exclude: [...PURE, ...MAINS, ...LONG, ...LONG_PURE, ...OFF],
          ...limits,
        },
      },
      {
        // One Temporal, sandbox, worker and gateway for all files: each makes links of its own.
        test: {
          name: 'system',
          include: ['test/system/*.test.ts'],
          exclude: LONG,
          globalSetup: ['test/system/setup.ts'],
          isolate: false,
          ...limits,
        },
      },
      { test: { name: 'mains', include: MAINS, maxWorkers: 1, sequence: { groupOrder: 1 }, ...limits } },
      { test: { name: 'long-pure', include: LONG_PURE, ...limits } },
      { test: { name: 'long-off', include: OFF, maxConcurrency: 2, sequence: { groupOrder: 2 }, ...limits } },
      { test: { name: 'long', include: LONG, globalSetup: ['test/system/setup.ts'], ...limits } },
    ],
    pool: 'forks',
    maxWorkers: 4,
  },
});
