import * as fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { addressClass } from '../../../src/client/transport/address-class.ts'
import { isUsableUrl } from '../../../src/client/transport/store-connection.ts'

const byte = fc.integer({ min: 0, max: 255 })
const ipv4 = fc.tuple(byte, byte, byte, byte)
type Ipv4 = readonly [number, number, number, number]

const dotted = (address: Ipv4): string => address.join('.')
const hex = (high: number, low: number): string => (high * 256 + low).toString(16)
const number = (address: Ipv4): number => address.reduce((sum, each) => sum * 256 + each, 0)

/** Every way in which IPv6 carries an IPv4 address. */
const MAPPINGS: readonly ((address: Ipv4) => string)[] = [
  address => `::ffff:${dotted(address)}`,
  ([a, b, c, d]) => `::ffff:${hex(a, b)}:${hex(c, d)}`,
  ([a, b, c, d]) => `0:0:0:0:0:ffff:${hex(a, b)}:${hex(c, d)}`,
  ([a, b, c, d]) => `::FFFF:${hex(a, b)}:${hex(c, d)}`,
  address => `::ffff:0:${dotted(address)}`,
  address => `64:ff9b::${dotted(address)}`,
  ([a, b, c, d]) => `2002:${hex(a, b)}:${hex(c, d)}::1`,
]

/** Every spelling of an IPv4 address that `URL` understands. */
const URL_SPELLINGS: readonly ((address: Ipv4) => string)[] = [
  dotted,
  address => String(number(address)),
  address => `0x${number(address).toString(16)}`,
  address => `0${number(address).toString(8)}`,
  ([a, b, c, d]) => `${a}.${b}.${c * 256 + d}`,
  ([a, b, c, d]) => `${a}.${(b * 256 + c) * 256 + d}`,
  ([a, b, c, d]) => `0x${a.toString(16)}.0${b.toString(8)}.${c}.${d}`,
  address => `${dotted(address)}.`,
]

describe('threat: the class of an address', () => {
  it.each([
    ['127.0.0.1', 'loopback'],
    ['127.255.0.9', 'loopback'],
    ['0.0.0.0', 'loopback'],
    ['::1', 'loopback'],
    ['::', 'loopback'],
    ['[::1]', 'loopback'],
    ['::127.0.0.1', 'loopback'],
    ['10.1.2.3', 'private'],
    ['172.16.0.1', 'private'],
    ['172.31.255.255', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['100.100.100.200', 'private'],
    ['169.254.169.254', 'private'],
    ['168.63.129.16', 'private'],
    ['198.18.0.1', 'private'],
    ['224.0.0.1', 'private'],
    ['255.255.255.255', 'private'],
    ['fd00:ec2::254', 'private'],
    ['fc00::1', 'private'],
    ['fe80::1%eth0', 'private'],
    ['fec0::1', 'private'],
    ['ff02::1', 'private'],
    ['2001:db8::1', 'private'],
    ['172.15.0.1', 'public'],
    ['172.32.0.1', 'public'],
    ['100.63.0.1', 'public'],
    ['100.128.0.1', 'public'],
    ['8.8.8.8', 'public'],
    ['2606:4700::1111', 'public'],
    ['store.example', null],
    ['127.0.0.1.nip.io', null],
    ['1.2.3', null],
    ['999.1.1.1', null],
    ['', null],
  ])('%s is %s', (address, expected) => {
    expect(addressClass(address)).toBe(expected)
  })

  it('is that of the IPv4 address inside, however IPv6 carries it', () => {
    fc.assert(
      fc.property(ipv4, fc.constantFrom(...MAPPINGS), (address, mapping) => {
        expect(addressClass(mapping(address))).toBe(addressClass(dotted(address)))
        expect(addressClass(`[${mapping(address)}]`)).toBe(addressClass(dotted(address)))
      }),
    )
  })

  it('of this machine is seen in every spelling of a URL, and refused to a server elsewhere', () => {
    const local = fc.tuple(fc.constantFrom(127, 0), byte, byte, byte)
    fc.assert(
      fc.property(local, fc.constantFrom(...URL_SPELLINGS), fc.constantFrom(...MAPPINGS), (address, spell, map) => {
        for (const host of [spell(address), `[${map(address)}]`]) {
          const url = `http://${host}:9000/part`
          expect(isUsableUrl({ url, headers: {} }, 'http://media.example'), url).toBe(false)
          expect(isUsableUrl({ url, headers: {} }, 'http://127.0.0.1:7325'), url).toBe(true)
        }
      }),
    )
    for (const host of ['localhost', 'localhost.', 'LOCALHOST', 'x.localhost', '%6cocalhost', '１２７.0.0.1'])
      expect(isUsableUrl({ url: `http://${host}/`, headers: {} }, 'http://media.example'), host).toBe(false)
  })
})
