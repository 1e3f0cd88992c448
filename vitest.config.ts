import { defineConfig } from 'vitest/config'

import { missingRequirements } from './test/support/requirements.ts'
import { STATE_HOME } from './test/support/state-home.ts'
import { CLUSTER_SUITES, NOT_ON_CLUSTER } from './test/support/suites.ts'

const long = process.env['SEALIFT_TEST_LONG'] === 'true'
const onCluster = process.env['SEALIFT_TEST_STORES'] === 'cluster'
const suites = onCluster ? CLUSTER_SUITES : ['test/{unit,contract,http,e2e,browser}/**/*.test.ts']

export default defineConfig({
  test: {
    include: long ? ['test/long/**/*.test.ts'] : suites,
    // The servers and commands of tests leave the state of the user who runs them alone.
    env: { XDG_STATE_HOME: STATE_HOME },
    globalSetup: 'test/support/engines/setup.ts',
    exclude: [
      ...missingRequirements().flatMap(({ files }) => files),
      ...(onCluster ? Object.keys(NOT_ON_CLUSTER) : []),
    ],
    testTimeout: long ? 3_600_000 : 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: long ? 1 : 2,
  },
})
