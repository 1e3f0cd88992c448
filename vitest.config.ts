import { defineConfig } from 'vitest/config'

import { missingRequirements } from './test/support/requirements.ts'

const long = process.env['SEALIFT_TEST_LONG'] === 'true'

export default defineConfig({
  test: {
    include: long ? ['test/long/**/*.test.ts'] : ['test/{unit,contract,http,e2e,browser}/**/*.test.ts'],
    globalSetup: 'test/support/engines/setup.ts',
    exclude: missingRequirements().flatMap(requirement => requirement.files),
    testTimeout: long ? 3_600_000 : 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    maxWorkers: long ? 1 : 2,
  },
})
