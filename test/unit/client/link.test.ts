import { describe, expect, test } from 'vitest'

import { formatLink, parseLink, serverBase } from '../../../src/client/link.ts'

const PARCEL = 'abcdefghijklmnopqrstuvwxyz'
const KEY = Uint8Array.from({ length: 32 }, (_, at) => at * 7)

describe('a link', () => {
  test('says again what it was made of', () => {
    const link = formatLink({ server: 'https://media.example', parcelId: PARCEL, key: KEY })
    expect(link).toMatch(/^https:\/\/media\.example\/p\/[a-z]{26}#[\w-]{43}$/)
    expect(parseLink(link)).toEqual({ server: 'https://media.example', parcelId: PARCEL, key: KEY })
  })

  test('may live below a path of the server', () => {
    const link = formatLink({ server: 'https://host.example/media/', parcelId: PARCEL, key: KEY })
    expect(parseLink(link).server).toBe('https://host.example/media')
  })

  test.each([
    ['nothing', ''],
    ['no URL', 'hello'],
    ['another scheme', `ftp://h/p/${PARCEL}#${'A'.repeat(43)}`],
    ['a script', `javascript:alert(1)//p/${PARCEL}#${'A'.repeat(43)}`],
    ['no parcel', `https://h/p/#${'A'.repeat(43)}`],
    ['a path that climbs', `https://h/p/..%2f..%2fv1#${'A'.repeat(43)}`],
    ['an id of capitals', `https://h/p/${PARCEL.toUpperCase()}#${'A'.repeat(43)}`],
    ['no key', `https://h/p/${PARCEL}`],
    ['a short key', `https://h/p/${PARCEL}#${'A'.repeat(42)}`],
    ['a long key', `https://h/p/${PARCEL}#${'A'.repeat(44)}`],
    ['a key of other characters', `https://h/p/${PARCEL}#${'A'.repeat(42)}+`],
    ['a user and password', `https://a:b@h/p/${PARCEL}#${'A'.repeat(43)}`],
  ])('is refused with %s', (_, link) => {
    expect(() => parseLink(link)).toThrow(expect.objectContaining({ code: 'invalid_link' }))
  })

  test('is never repeated by the error, for it is a secret', () => {
    const link = `https://h/p/${PARCEL}#${'S'.repeat(20)}`
    let message = ''
    try {
      parseLink(link)
    } catch (error) {
      message = String(error)
    }
    expect(message).toContain('key')
    expect(message).not.toContain('SSSS')
    expect(message).not.toContain(PARCEL)
  })
})

test('a server is an http or https URL, without what is behind its path', () => {
  expect(serverBase('http://127.0.0.1:7325/')).toBe('http://127.0.0.1:7325')
  expect(serverBase('https://h.example/a/b/?x=1#y')).toBe('https://h.example/a/b')
  expect(() => serverBase('file:///etc/passwd')).toThrow(expect.objectContaining({ code: 'invalid_request' }))
})
