import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import {
  fileNameOf,
  joinNames,
  readableName,
  HeldFolder,
  openListed,
  realPath,
} from '../../../src/client/node/files/held-folder.ts'
import { fileSource, listFiles } from '../../../src/client/node/index.ts'
import { tempDirectory } from '../../support/temp-directory.ts'

const latin1 = (text: string): Buffer => Buffer.from(text, 'latin1')

describe('a name that is not UTF-8', () => {
  test.each([
    [latin1('caf\xe9.txt'), 'caf%E9.txt'],
    [Buffer.concat([Buffer.from('日本 '), latin1('\xff')]), '日本 %FF'],
    // Cut, overlong, a surrogate, beyond Unicode.
    [latin1('\xe6\x97'), '%E6%97'],
    [latin1('\xc0\xaf'), '%C0%AF'],
    [latin1('\xed\xa0\x80'), '%ED%A0%80'],
    [latin1('\xf4\x90\x80\x80'), '%F4%90%80%80'],
  ])('%j is readable as %s', (bytes, readable) => {
    const name = fileNameOf(bytes)
    expect(name).toEqual(new Uint8Array(bytes))
    expect(readableName(name)).toBe(readable)
  })

  test('keeps what is text as it is, and is readable whatever it holds', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), bytes => {
        const name = fileNameOf(bytes)
        const readable = readableName(name)
        expect(readable.isWellFormed()).toBe(true)
        expect(readable.includes('\ufffd')).toBe(Buffer.from(bytes).includes(Buffer.from('\ufffd')))
        const kept = typeof name === 'string' ? Buffer.from(name) : Buffer.from(name)
        expect(kept.equals(bytes)).toBe(true)
      }),
    )
    fc.assert(fc.property(fc.string({ unit: 'grapheme' }), text => fileNameOf(Buffer.from(text)) === text))
  })
})

// Other systems take no such names.
test.runIf(process.platform === 'linux')(
  'files and folders of such names are listed, told, and opened by their bytes',
  async () => {
    await using home = await tempDirectory()
    const root = join(home.path, 'n')
    await mkdir(root)
    const folder = joinNames(root, latin1('d\xe9'))
    await mkdir(folder)
    await writeFile(joinNames(root, latin1('caf\xe9.txt')), 'a')
    await writeFile(joinNames(folder, latin1('caf\xe8.txt')), 'b')
    await writeFile(join(root, 'ok.txt'), 'c')
    const renamed: string[] = []
    const items = await listFiles([root], { onRenamed: ({ name }) => renamed.push(name) })
    expect(items.map(({ name }) => name)).toEqual(['n/caf%E9.txt', 'n/d%E9/caf%E8.txt', 'n/ok.txt'])
    expect(renamed).toEqual(['n/caf%E9.txt', 'n/d%E9/caf%E8.txt'])
    for (const [index, item] of items.entries()) {
      const source = await fileSource(item.path, item.listed)
      expect(Buffer.from(await source.read(0, 1, new AbortController().signal)).toString()).toBe('abc'[index])
      await source.checkUnchanged()
      expect(await readFile(realPath(item), 'utf8')).toBe('abc'[index])
      // Where there are no paths by descriptor.
      if (item.listed) await (await openListed(item.listed, false)).close()
    }
    await using held = await HeldFolder.open(root, false)
    await using inner = await held.folder(new Uint8Array(latin1('d\xe9')))
    expect((await inner.entries()).map(({ readable }) => readable)).toEqual(['caf%E8.txt'])
  },
)
