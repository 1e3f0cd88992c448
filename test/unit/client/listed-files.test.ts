import { mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

import { describe, expect, it } from 'vitest'

import { fileSource, listFiles } from '../../../src/client/node/index.ts'
import type { FileItem } from '../../../src/client/node/index.ts'
import { HeldFolder, openListed } from '../../../src/client/node/files/held-folder.ts'
import { tempDirectory } from '../../support/temp-directory.ts'

const SIGNAL = new AbortController().signal

/** A folder to send, and beside it one that must never be sent. */
async function places(root: string): Promise<{ shared: string; secret: string }> {
  const [shared, secret] = [join(root, 'shared'), join(root, 'secret')]
  await mkdir(join(shared, 'a', 'b'), { recursive: true })
  await mkdir(join(secret, 'b'), { recursive: true })
  for (const folder of [shared, join(shared, 'a'), join(shared, 'a', 'b')])
    await writeFile(join(folder, 'x.txt'), 'mine')
  for (const folder of [secret, join(secret, 'b')]) await writeFile(join(folder, 'x.txt'), 'secret')
  return { shared, secret }
}

async function textOf(item: FileItem): Promise<string> {
  const source = await fileSource(item.path, item.listed)
  return Buffer.from(await source.read(0, source.sizeBytes, SIGNAL)).toString()
}

const DEEPEST = 'shared/a/b/x.txt'

/** What another user of the machine may do between the listing and the opening. */
const SWAPS: readonly [string, (at: { shared: string; secret: string }) => Promise<void>][] = [
  [
    'the file becomes a link',
    async ({ shared, secret }) => {
      await rm(join(shared, 'a/b/x.txt'))
      await symlink(join(secret, 'x.txt'), join(shared, 'a/b/x.txt'))
    },
  ],
  [
    'its folder becomes a link',
    async ({ shared, secret }) => {
      await rename(join(shared, 'a/b'), join(shared, 'a/b.old'))
      await symlink(secret, join(shared, 'a/b'))
    },
  ],
  [
    'a folder further up becomes a link',
    async ({ shared, secret }) => {
      await rename(join(shared, 'a'), join(shared, 'a.old'))
      await symlink(secret, join(shared, 'a'))
    },
  ],
  [
    'a folder further up becomes a link to what was listed',
    async ({ shared }) => {
      await rename(join(shared, 'a'), join(shared, 'a.old'))
      await symlink(join(shared, 'a.old'), join(shared, 'a'))
    },
  ],
  [
    'the root becomes a link',
    async ({ shared, secret }) => {
      await mkdir(join(secret, 'a'))
      await rename(join(secret, 'b'), join(secret, 'a', 'b'))
      await rename(shared, `${shared}.old`)
      await symlink(secret, shared)
    },
  ],
  [
    'the file is replaced by another one',
    async ({ shared, secret }) => rename(join(secret, 'x.txt'), join(shared, 'a/b/x.txt')),
  ],
  [
    'the file becomes a folder',
    async ({ shared }) => {
      await rename(join(shared, 'a/b/x.txt'), join(shared, 'a/b/old.txt'))
      await mkdir(join(shared, 'a/b/x.txt'))
    },
  ],
]

describe('what a listed file may become before it is read', () => {
  for (const [what, swap] of SWAPS) {
    it(`threat: nothing else is read when ${what}`, async () => {
      await using folder = await tempDirectory()
      const at = await places(folder.path)
      const items = await listFiles([at.shared])
      const deepest = items.find(({ name }) => name === DEEPEST)
      if (!deepest?.listed) throw new Error('It is listed')
      expect(await textOf(deepest)).toBe('mine')
      await swap(at)
      await expect(fileSource(deepest.path, deepest.listed)).rejects.toMatchObject({ code: 'file_changed' })
      await expect(openListed(deepest.listed, false)).rejects.toMatchObject({ code: 'file_changed' })
    })

    it(`threat: a source that is open already fails when ${what}`, async () => {
      await using folder = await tempDirectory()
      const at = await places(folder.path)
      const deepest = (await listFiles([at.shared])).find(({ name }) => name === DEEPEST)
      if (!deepest) throw new Error('It is listed')
      const source = await fileSource(deepest.path, deepest.listed)
      await swap(at)
      await expect(source.read(0, 1, SIGNAL)).rejects.toMatchObject({ code: 'file_changed' })
      await expect(source.openFile()).rejects.toMatchObject({ code: 'file_changed' })
    })
  }

  it('threat: an open folder that became a link is not entered again, and stays what it was', async () => {
    await using folder = await tempDirectory()
    const { shared, secret } = await places(folder.path)
    await using root = await HeldFolder.open(shared, true)
    await using held = await root.folder('a')
    expect((await held.entries()).map(({ readable }) => readable).sort()).toEqual(['b', 'x.txt'])
    await rename(join(shared, 'a'), join(shared, 'a.old'))
    await symlink(secret, join(shared, 'a'))
    await expect(root.folder('a')).rejects.toMatchObject({ code: 'file_changed' })
    await using handle = await held.file('x.txt')
    expect(await readFile(handle, 'utf8')).toBe('mine')
  })

  it('threat: without descriptors in paths, an open folder that became a link is noticed', async () => {
    await using folder = await tempDirectory()
    const { shared, secret } = await places(folder.path)
    await using root = await HeldFolder.open(shared, false)
    await using held = await root.folder('a')
    await rename(join(shared, 'a'), join(shared, 'a.old'))
    await symlink(secret, join(shared, 'a'))
    const attempts = [root.folder('a'), held.entries(), held.look('x.txt'), held.file('x.txt'), held.folder('b')]
    for (const outcome of await Promise.allSettled<unknown>(attempts)) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'file_changed' } })
    }
  })

  it('leaves out links inside a folder, and follows one that is named', async () => {
    await using folder = await tempDirectory()
    const { shared, secret } = await places(folder.path)
    await symlink(secret, join(shared, 'out'))
    await symlink(join(secret, 'x.txt'), join(shared, 'out.txt'))
    await symlink(shared, join(folder.path, 'named'))
    const leftOut: string[] = []
    const items = await listFiles([join(folder.path, 'named')], { onLeftOut: path => leftOut.push(path) })
    expect(items.map(({ name }) => name)).toEqual(['named/a/b/x.txt', 'named/a/x.txt', 'named/x.txt'])
    expect(leftOut).toEqual([join(folder.path, 'named/out'), join(folder.path, 'named/out.txt')])
    expect(await Promise.all(items.map(textOf))).toEqual(['mine', 'mine', 'mine'])
  })
})
