import { expect, test } from 'vitest'

import { Hangups } from '../../../src/cli/server/hangups.ts'

test('one that comes while the server starts is told when it has started', () => {
  const told: string[] = []
  const before = process.listenerCount('SIGHUP')
  {
    using hangups = new Hangups()
    process.emit('SIGHUP')
    process.emit('SIGHUP')
    hangups.tellTo(() => told.push('reload'))
    expect(told).toEqual(['reload'])
    process.emit('SIGHUP')
    expect(told).toEqual(['reload', 'reload'])
  }
  expect(process.listenerCount('SIGHUP')).toBe(before)
})
