import { afterEach, beforeEach } from 'vitest'

import type { NodeSealift } from '../../src/client/node/index.ts'
import { clientIn } from './sdk.ts'
import { tempDirectory, type TempDirectory } from './temp-directory.ts'
import { startTestServer, type TestServer } from './test-server.ts'

/** What a test of the SDK stands on. */
export interface SdkStage {
  server: TestServer
  home: TempDirectory
  /** A client of `server`, its state in `home`. */
  sealift: NodeSealift
}

/** A stage for each test of a file, made before it and taken down after it. To be called once, outside of tests. */
export function sdkPerTest(): SdkStage {
  const stage = {} as SdkStage
  beforeEach(async () => {
    stage.server = await startTestServer()
    stage.home = await tempDirectory()
    stage.sealift = clientIn(stage.home.path, { server: stage.server.url })
  })
  afterEach(async () => {
    await stage.sealift[Symbol.asyncDispose]()
    await stage.server[Symbol.asyncDispose]()
    await stage.home[Symbol.asyncDispose]()
  })
  return stage
}
