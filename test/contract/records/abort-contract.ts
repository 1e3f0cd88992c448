import { describe, expect, it } from 'vitest'

import { newUpload, NOW } from '../../support/record-fixtures.ts'
import type { Records } from '../record-store-contract.ts'

const CALLS = 400

export function abortContract(records: Records): void {
  describe('an aborted call', () => {
    it('rejects with the reason and changes nothing when it was aborted before', async () => {
      const reason = new Error('The client is gone')
      const signal = AbortSignal.abort(reason)
      const upload = newUpload()
      await expect(records().beginUpload(upload, signal)).rejects.toBe(reason)
      await expect(records().findUpload(upload.uploadId, signal)).rejects.toBe(reason)
      await expect(records().totals(signal)).rejects.toBe(reason)
      expect(await records().findUpload(upload.uploadId)).toBeNull()
    })

    it('changes nothing when it rejects, and is done when it resolves, whenever it was aborted', async () => {
      const clientId = newUpload().uploadId
      const stop = new AbortController()
      const reason = new Error('The server stops')
      const calls = Array.from({ length: CALLS }, (_, index) =>
        records().noteDevice(
          { clientId, deviceId: `device ${index}`, cap: CALLS, now: NOW, forgetBefore: 0 },
          stop.signal,
        ),
      )
      setTimeout(() => stop.abort(reason), 5)
      const outcomes = await Promise.allSettled(calls)
      const rejected = outcomes.filter(outcome => outcome.status === 'rejected')
      for (const outcome of rejected) expect(outcome.reason).toBe(reason)
      expect(await records().countDevices(clientId, 0)).toBe(CALLS - rejected.length)
    })

    it('leaves the store usable, and later calls with another signal resolve', async () => {
      const { signal } = new AbortController()
      const upload = newUpload()
      await records().beginUpload(upload, signal)
      expect(await records().findUpload(upload.uploadId, signal)).toMatchObject({ state: 'uploading' })
    })
  })
}
