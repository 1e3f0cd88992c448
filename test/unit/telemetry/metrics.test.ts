import { expect, test } from 'vitest'

import { createMetrics, type MetricSources } from '../../../src/server/telemetry/metrics.ts'

const totals = {
  blobs: 3,
  blobBytes: 5000,
  reservedBytes: 200,
  pendingUploads: 2,
  leases: 4,
  parcels: 1,
  tombstones: 0,
  oldestUploadAt: 1_700_000_000_000,
}

const sources = (changes: Partial<MetricSources> = {}): MetricSources => ({
  inFlight: direction => (direction === 'upload' ? 3 : 5),
  waiting: direction => (direction === 'upload' ? 1 : 0),
  totals: async () => totals,
  space: async () => ({ freeBytes: 10, totalBytes: 100 }),
  ready: async () => true,
  ...changes,
})

test('transfers, lines and storage are what they are when they are read', async () => {
  const { body, contentType } = await createMetrics({ sources: sources(), ofProcess: false }).read()
  expect(contentType).toContain('text/plain')
  for (const line of [
    'sealift_transfers_in_flight{direction="upload"} 3',
    'sealift_transfers_in_flight{direction="download"} 5',
    'sealift_transfers_waiting{direction="upload"} 1',
    'sealift_storage_blobs 3',
    'sealift_storage_blob_bytes 5000',
    'sealift_storage_reserved_bytes 200',
    'sealift_storage_oldest_upload_timestamp_seconds 1700000000',
    'sealift_storage_free_bytes 10',
    'sealift_storage_totals_read 1',
    'sealift_ready 1',
    'sealift_transfer_bytes_total{direction="upload"} 0',
  ]) {
    expect(body.split('\n')).toContain(line)
  }
})

test('a database that fails takes its own figures with it and no others, and they come back', async () => {
  let fails = false
  const metrics = createMetrics({
    ofProcess: false,
    sources: sources({ totals: async () => (fails ? Promise.reject(new Error('busy')) : totals) }),
  })
  expect((await metrics.read()).body).toMatch(/^sealift_storage_blobs 3$/m)
  fails = true
  const { body } = await metrics.read()
  expect(body).not.toMatch(/^sealift_storage_blobs /m)
  expect(body).toMatch(/^sealift_storage_totals_read 0$/m)
  expect(body).toMatch(/^sealift_storage_free_bytes 10$/m)
  fails = false
  expect((await metrics.read()).body).toMatch(/^sealift_storage_blobs 3$/m)
})

test('a database that hangs is not waited for', async () => {
  const totalsOfNobody = () => new Promise<typeof totals>(() => undefined)
  const { body } = await createMetrics({ ofProcess: false, sources: sources({ totals: totalsOfNobody }) }).read()
  expect(body).toMatch(/^sealift_storage_totals_read 0$/m)
  expect(body).toMatch(/^sealift_storage_free_bytes 10$/m)
})

test('requests by route and class of status, with their latency', async () => {
  const metrics = createMetrics({ sources: sources(), ofProcess: false })
  metrics.requestEnded({ route: 'readMedia', status: 206, seconds: 0.02 })
  metrics.requestEnded({ route: 'readMedia', status: 200, seconds: 2 })
  metrics.requestEnded({ route: null, status: 404, seconds: 0.001 })
  metrics.requestEnded({ route: 'putPart', status: null, seconds: 1 })
  const { body } = await metrics.read()
  expect(body).toContain('sealift_request_seconds_count{route="readMedia",status="2xx"} 2')
  expect(body).toContain('sealift_request_seconds_count{route="none",status="4xx"} 1')
  expect(body).toContain('sealift_request_seconds_count{route="putPart",status="cut"} 1')
  expect(body).toContain('sealift_request_seconds_bucket{le="0.025",route="readMedia",status="2xx"} 1')
})

test('threat 74: nothing a client chose becomes a label', async () => {
  const metrics = createMetrics({ sources: sources(), ofProcess: false })
  for (let i = 0; i < 1000; i += 1) metrics.refused(`abcdefghijklmnopqrstuvwx23 ${i}`)
  metrics.refused('storedBytes')
  const lines = (await metrics.read()).body.split('\n').filter(line => line.startsWith('sealift_refusals_total'))
  expect(lines.sort()).toEqual([
    'sealift_refusals_total{limit="other"} 1000',
    'sealift_refusals_total{limit="storedBytes"} 1',
  ])
})

test('process metrics are reported unless the process is shared', async () => {
  const { body } = await createMetrics({ sources: sources() }).read()
  expect(body).toContain('nodejs_eventloop_lag_seconds')
  expect(body).toContain('process_resident_memory_bytes')
})
