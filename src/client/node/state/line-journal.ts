import { open, readFile, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { uptime } from 'node:os'
import * as z from 'zod'

import { localError, unless } from '../files/local-error.ts'

/**
 * A file of JSON lines that only grows, readable by its owner alone. A line is written whole or, after a crash, cut:
 * what is cut is left out when it is read.
 *
 * Lines are written but not synced: they survive the death of the process. After a power loss the journal may lack its
 * end, or be gone; readers must handle all these cases.
 */
export class LineJournal implements AsyncDisposable {
  readonly path: string
  readonly #handle: FileHandle
  #writing: Promise<void> = Promise.resolve()
  /** Lines that the next write takes along. */
  #waiting: string[] = []

  private constructor(path: string, handle: FileHandle) {
    this.path = path
    this.#handle = handle
  }

  /** Opens it for appending; creates it when absent. @throws local_file */
  static async open(path: string): Promise<LineJournal> {
    try {
      const handle = await open(path, 'a', 0o600)
      const journal = new LineJournal(path, handle)
      // A line that a crash has cut must not swallow the next one.
      if (!(await endsWithNewline(path))) await handle.appendFile('\n')
      return journal
    } catch (error) {
      throw localError('A journal cannot be written', path, error)
    }
  }

  /** All whole lines of a journal; none when it is not there. */
  static async read(path: string): Promise<unknown[]> {
    const text = await unless(readFile(path, 'utf8'), 'ENOENT').catch((error: unknown) => {
      throw localError('A journal cannot be read', path, error)
    })
    return (text ?? '').split('\n').flatMap(parseLine)
  }

  /** Resolves once the line is written. Lines that come while another is being written are written together. */
  append(entry: unknown): Promise<void> {
    this.#waiting.push(`${JSON.stringify(entry)}\n`)
    if (this.#waiting.length === 1) this.#writing = this.#writing.then(() => this.#write())
    return this.#writing
  }

  async #write(): Promise<void> {
    const lines = this.#waiting.join('')
    this.#waiting = []
    try {
      await this.#handle.appendFile(lines)
    } catch (error) {
      throw localError('A journal cannot be written', this.path, error)
    }
  }

  /** Deletes it: there is nothing left to go on with. */
  async remove(): Promise<void> {
    await rm(this.path, { force: true }).catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#writing.catch(() => undefined)
    await this.#handle.close().catch(() => undefined)
  }
}

function parseLine(line: string): unknown[] {
  if (line === '') return []
  try {
    return [JSON.parse(line)]
  } catch {
    return []
  }
}

async function endsWithNewline(path: string): Promise<boolean> {
  const text = await readFile(path)
  return text.byteLength === 0 || text[text.byteLength - 1] === 0x0a
}

/** Identifies a process, also among later processes with the same number. */
export interface ProcessIdentity {
  /** One run of the operating system: files written in it and not yet synced are still there while it lasts. */
  readonly boot: string
  readonly pid: number
  /** When the process began, in the units of the system; `null` where it does not tell. */
  readonly startedAt: string | null
}

export const processIdentitySchema = z.object({
  boot: z.string(),
  pid: z.int().min(1),
  startedAt: z.string().nullable(),
})

export async function ownIdentity(): Promise<ProcessIdentity> {
  return { boot: await bootId(), pid: process.pid, startedAt: await startOf(process.pid) }
}

/** Whether the process still runs. */
export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  if (identity.boot !== (await bootId()) || !exists(identity.pid)) return false
  return identity.startedAt === null || identity.startedAt === (await startOf(identity.pid))
}

export async function bootId(): Promise<string> {
  const id = await readFile('/proc/sys/kernel/random/boot_id', 'utf8').catch(() => null)
  // Elsewhere: the moment of the boot, to the minute. A clock that is set in between costs a fresh start, no more.
  return id?.trim() ?? `booted-${Math.round((Date.now() / 1000 - uptime()) / 60)}`
}

/** Field 22 of the process's stat, behind its name, which may hold anything. */
async function startOf(pid: number): Promise<string | null> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => null)
  return (
    text
      ?.slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .at(19) ?? null
  )
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM'
  }
}
