import { expect, test } from 'vitest'

import { createMetrics } from '../../../src/server/telemetry/metrics.ts'
import { SummedMetrics } from '../../../src/server/workers/supervisor.ts'

const newWorker = (inFlight: number) =>
  createMetrics({
    ofProcess: false,
    sources: {
      inFlight: () => inFlight,
      waiting: () => 0,
      totals: async () => ({
        blobs: 3,
        blobBytes: 0,
        reservedBytes: 0,
        pendingUploads: 0,
        leases: 0,
        parcels: 0,
        tombstones: 0,
        oldestUploadAt: null,
      }),
      space: async () => null,
      ready: async () => true,
    },
  })

test('what a worker counted outlives it, what it was doing does not', async () => {
  const summed = new SummedMetrics<object>()
  const figures = async () => (await summed.page()).body.split('\n')
  const lives = newWorker(2)
  summed.update(lives, await lives.snapshot())
  for (let round = 1; round <= 3; round += 1) {
    const dies = newWorker(5)
    dies.bytesMoved('upload', 100)
    dies.requestEnded({ route: 'storeMedia', status: 201, seconds: 0.2 })
    summed.update(dies, await dies.snapshot())
    const told = [
      `sealift_transfer_bytes_total{direction="upload"} ${100 * round}`,
      `sealift_request_seconds_count{route="storeMedia",status="2xx"} ${round}`,
      `sealift_request_seconds_bucket{le="0.25",route="storeMedia",status="2xx"} ${round}`,
      'sealift_storage_blobs 3',
    ]
    expect(await figures()).toEqual(
      expect.arrayContaining([...told, 'sealift_transfers_in_flight{direction="upload"} 7']),
    )
    summed.end(dies)
    expect(await figures()).toEqual(
      expect.arrayContaining([...told, 'sealift_transfers_in_flight{direction="upload"} 2']),
    )
  }
})

test('the last sweep of several workers is not the sum of their last ones', async () => {
  const summed = new SummedMetrics<object>()
  for (const seconds of [3, 4]) {
    const worker = newWorker(0)
    worker.sweepEnded(seconds)
    summed.update(worker, await worker.snapshot())
  }
  expect((await summed.page()).body).toMatch(/^sealift_sweep_seconds 4$/m)
})
