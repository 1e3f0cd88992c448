import { readFile } from 'node:fs/promises'
import { uptime } from 'node:os'

import * as z from 'zod'

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
