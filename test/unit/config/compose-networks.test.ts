/** Addresses that the compose files fix are free when they are needed: nothing else can have been given one before. */
import { readFileSync } from 'node:fs'
import { BlockList } from 'node:net'
import { fileURLToPath } from 'node:url'

import { expect, test } from 'vitest'
import { parse } from 'yaml'

interface Compose {
  readonly services: Readonly<Record<string, { readonly networks?: unknown }>>
  readonly networks: Readonly<Record<string, Network>>
}

interface Network {
  readonly name?: string
  readonly ipam: { readonly config: readonly [{ readonly subnet: string; readonly ip_range: string }] }
}

const FILES = ['compose.yaml', 'compose-cluster.yaml']

test.each(FILES)('%s', file => {
  const { services, networks } = read(file)
  const { subnet, ip_range: given } = networks['inside']?.ipam.config[0] ?? { subnet: '', ip_range: '' }
  const fixed = Object.values(services).flatMap(fixedAddress)
  expect(fixed).toHaveLength(1)
  for (const address of fixed) {
    expect(listOf(subnet).check(address)).toBe(true)
    expect(listOf(given).check(address)).toBe(false)
  }
})

test('both can be used on one machine, although they are one project', () => {
  const names = FILES.map(file => read(file).networks['inside']?.name ?? 'inside')
  expect(new Set(names).size).toBe(FILES.length)
})

function read(file: string): Compose {
  const path = fileURLToPath(new URL(`../../../deploy/${file}`, import.meta.url))
  return parse(readFileSync(path, 'utf8'), { merge: true }) as Compose
}

function fixedAddress({ networks }: { readonly networks?: unknown }): readonly string[] {
  if (Array.isArray(networks) || typeof networks !== 'object' || networks === null) return []
  return Object.values(networks as Record<string, { readonly ipv4_address?: string }>).flatMap(
    ({ ipv4_address: address }) => (address === undefined ? [] : [address]),
  )
}

function listOf(range: string): BlockList {
  const [network = '', bits = '0'] = range.split('/')
  const list = new BlockList()
  list.addSubnet(network, Number(bits))
  return list
}
