import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { createApi } from '../support/api.ts'
import { bytesFor } from '../support/random.ts'
import { startServerProcess } from '../support/server-process.ts'

const PART_BYTES = 1024 * 1024

test('a file that the system does not allow to be so large is refused by that name, and all else goes on', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sealift-file-size-'))
  await using server = await startServerProcess({
    directory,
    config: { transfer: { partBytes: PART_BYTES } },
    wrapper: ['prlimit', `--fsize=${4 * PART_BYTES}`],
  })
  const api = createApi(server.url)
  const { uploadId } = await api.begin({ json: { sizeBytes: 8 * PART_BYTES } })
  const part = (index: number) => bytesFor(`part-${index}`, PART_BYTES)
  expect((await api.putPart(uploadId, 3, part(3))).status).toBe(204)
  for (const index of [4, 7]) {
    const refused = await api.putPart(uploadId, index, part(index))
    expect(refused).toMatchObject({ status: 413, code: 'too_large' })
    expect(refused.json).toMatchObject({ limit: 'fileBytes', detail: expect.stringContaining('ulimit -f') as string })
  }
  expect((await api.putPart(uploadId, 0, part(0))).status).toBe(204)
  rmSync(directory, { recursive: true, force: true })
})
