import { afterAll, beforeAll, expect, test } from 'vitest'
import { paddedLength, sealedLength } from '../../src/sealing/index.ts'
import { openTestPage } from '../support/chromium.ts'
import type { TestPage } from '../support/chromium.ts'
import { vectorChecks } from '../support/sealing-vectors.ts'
import type { SealingPage } from './sealing-page.ts'

type Reply<K extends keyof SealingPage> = Awaited<ReturnType<SealingPage[K]>>

let opened: TestPage

beforeAll(async () => {
  opened = await openTestPage({ entry: 'test/browser/sealing-page.ts' })
})

afterAll(async () => {
  await opened[Symbol.asyncDispose]()
})

test('a browser does with every vector what Node does', async () => {
  const { checked, failures } = await opened.page.evaluate<Reply<'checkVectors'>>('sealing.checkVectors()')
  expect(failures).toEqual([])
  expect(checked).toBe(vectorChecks().length)
})

test('a browser seals megabytes and opens them, whole and in part', async () => {
  const plainBytes = 5_000_000
  const response = await opened.page.evaluate<Reply<'roundTrip'>>(`sealing.roundTrip(${plainBytes})`)
  expect(response).toEqual({ sealedBytes: sealedLength(paddedLength(plainBytes), 262_144), whole: true, range: true })
  expect(opened.errors).toEqual([])
})
