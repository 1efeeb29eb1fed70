import { DefaultLogger, Runtime } from '@temporalio/worker';

let installed = false;

/** Errors only. Workers announce their start and end, and runs that tests stop are warned about. Safe to repeat. */
export function quietRuntime(): void {
  if (installed) return;
  installed = true;
  Runtime.install({
    logger: new DefaultLogger('ERROR'),
    telemetryOptions: { logging: { filter: { core: 'ERROR', other: 'ERROR' }, forward: {} } },
  });
}
