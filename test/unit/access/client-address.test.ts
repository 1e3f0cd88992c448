import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import {
  clientAddress,
  clientNetwork,
  createProxyTrust,
  isForwarded,
  isLoopbackAddress,
  normaliseAddress,
} from '../../../src/server/access/client-address.ts'
import { createLiveConfig } from '../../../src/server/config/live-config.ts'
import { parseConfig } from '../../../src/server/config/parse-config.ts'

const trusting = (...trustedProxies: string[]) =>
  createProxyTrust(createLiveConfig(parseConfig({ access: { openMode: 'off' }, listen: { trustedProxies } })))
const forwarded = (...hops: string[]) => ({ 'x-forwarded-for': hops.join(', ') })

describe('spelling', () => {
  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::FFFF:C000:0201', '192.0.2.1'],
    ['2001:DB8:0:0:0:0:0:1', '2001:db8::1'],
    ['fe80::1%eth0', 'fe80::1'],
    ['::1', '::1'],
    ['unknown', null],
    ['1.2.3.4.5', null],
    ['', null],
    [undefined, null],
  ])('%s is %s', (text, address) => {
    expect(normaliseAddress(text)).toBe(address)
  })

  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::', '2001:db8:1:2::/64'],
    ['::1', '0:0:0:0::/64'],
  ])('%s is counted as %s', (address, network) => {
    expect(clientNetwork(address)).toBe(network)
  })

  test('property: all addresses of a /64 are one client, those of two are two', () => {
    const groups = (length: number) =>
      fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: length, maxLength: length })
    const spell = (parts: readonly number[]) => parts.map(part => part.toString(16)).join(':')
    const networkOf = (parts: readonly number[]) => clientNetwork(normaliseAddress(spell(parts)) ?? '')
    fc.assert(
      fc.property(groups(4), groups(4), groups(4), (head, one, other) => {
        fc.pre(head.some(part => part !== 0))
        expect(networkOf([...head, ...one])).toBe(networkOf([...head, ...other]))
        const [first = 0, ...rest] = head
        expect(networkOf([(first + 1) % 0x10000 || 1, ...rest, ...one]) === networkOf([...head, ...one])).toBe(false)
      }),
    )
  })

  test('loopback', () => {
    expect(['127.0.0.1', '127.9.9.9', '::1', '10.0.0.1', '2001:db8::1'].map(isLoopbackAddress)).toEqual([
      true,
      true,
      true,
      false,
      false,
    ])
  })
})

describe('threat 43: forwarded addresses', () => {
  test('a stranger cannot choose the address it is counted under', () => {
    expect(clientAddress('192.0.2.9', forwarded('8.8.8.8'), trusting())).toBe('192.0.2.9')
    expect(clientAddress('192.0.2.9', forwarded('8.8.8.8'), trusting('10.0.0.0/8'))).toBe('192.0.2.9')
  })

  test('behind a trusted proxy it is the address that the proxy saw', () => {
    const trust = trusting('10.0.0.0/8')
    expect(clientAddress('10.0.0.1', forwarded('203.0.113.7'), trust)).toBe('203.0.113.7')
    expect(clientAddress('::ffff:10.0.0.1', forwarded('203.0.113.7'), trust)).toBe('203.0.113.7')
    expect(clientAddress('10.0.0.1', {}, trust)).toBe('10.0.0.1')
  })

  test('what a client puts in front of the header is not believed', () => {
    const trust = trusting('10.0.0.0/8')
    expect(clientAddress('10.0.0.1', forwarded('1.1.1.1', '8.8.8.8', '203.0.113.7'), trust)).toBe('203.0.113.7')
    expect(clientAddress('10.0.0.1', forwarded('1.1.1.1', '203.0.113.7', '10.0.0.2'), trust)).toBe('203.0.113.7')
    expect(clientAddress('10.0.0.1', { 'x-forwarded-for': ['1.1.1.1', '203.0.113.7'] }, trust)).toBe('203.0.113.7')
  })

  test('a chain of trusted proxies leads to the first of them, and nonsense ends it', () => {
    const trust = trusting('private', 'loopback')
    expect(clientAddress('127.0.0.1', forwarded('10.0.0.3', '192.168.1.1'), trust)).toBe('10.0.0.3')
    expect(clientAddress('127.0.0.1', forwarded('203.0.113.7', 'unknown', '192.168.1.1'), trust)).toBe('192.168.1.1')
    expect(clientAddress('127.0.0.1', forwarded(...Array.from({ length: 500 }, () => '10.0.0.1')), trust)).toBe(
      '10.0.0.1',
    )
  })

  test('ports beside addresses', () => {
    const trust = trusting('loopback')
    expect(clientAddress('::1', forwarded('203.0.113.7:5000'), trust)).toBe('203.0.113.7')
    expect(clientAddress('::1', forwarded('[2001:db8::7]:5000'), trust)).toBe('2001:db8::7')
    expect(clientAddress('::1', forwarded('[2001:db8::7]'), trust)).toBe('2001:db8::7')
  })

  test('trust changes with the configuration', () => {
    const live = createLiveConfig(parseConfig({}))
    const trust = createProxyTrust(live)
    expect(trust.trusts('10.0.0.1')).toBe(false)
    live.apply(parseConfig({ access: { openMode: 'off' }, listen: { trustedProxies: ['10.0.0.1', 'fd00::/8'] } }))
    expect(['10.0.0.1', '10.0.0.2', 'fd12::1', 'fe80::1'].map(address => trust.trusts(address))).toEqual([
      true,
      false,
      true,
      false,
    ])
  })

  test.each(['x-forwarded-for', 'forwarded', 'x-real-ip', 'via'])('%s shows that there is a proxy in between', name => {
    expect(isForwarded({ [name]: 'x' })).toBe(true)
    expect(isForwarded({ host: 'x' })).toBe(false)
  })
})
