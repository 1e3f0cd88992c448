import { expect, test } from 'vitest'

import { ReloadSignal } from '../../../src/cli/server/reload-signal.ts'

test('a signal that comes while the server starts is delivered when it has started', () => {
  const told: string[] = []
  const before = process.listenerCount('SIGHUP')
  {
    using reloadSignal = new ReloadSignal()
    process.emit('SIGHUP')
    process.emit('SIGHUP')
    reloadSignal.setListener(() => told.push('reload'))
    expect(told).toEqual(['reload'])
    process.emit('SIGHUP')
    expect(told).toEqual(['reload', 'reload'])
  }
  expect(process.listenerCount('SIGHUP')).toBe(before)
})
