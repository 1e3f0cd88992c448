import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** `XDG_STATE_HOME` of one run of the tests; made by who writes there first, removed by `engines/setup.ts`. */
export const STATE_HOME = join(tmpdir(), `sealift-test-state-${process.pid}`)
