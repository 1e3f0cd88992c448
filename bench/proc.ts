/** Reads the kernel's accounts of other processes (`/proc`). Linux only. */
import { readFile, readdir } from 'node:fs/promises'

const TICKS_PER_SECOND = 100

/** Processor seconds, user and system, that a process and its living children have used so far. */
export async function cpuSeconds(pid: number): Promise<number> {
  const pids = [pid, ...(await descendants(pid))]
  const seconds = await Promise.all(pids.map(ownCpuSeconds))
  return seconds.reduce((sum, each) => sum + each, 0)
}

async function ownCpuSeconds(pid: number): Promise<number> {
  // The command name, in parentheses, may hold spaces: the numbers begin after the last parenthesis.
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS_PER_SECOND
}

async function descendants(pid: number): Promise<number[]> {
  const tasks = await readdir(`/proc/${pid}/task`).catch(() => [])
  const lists = await Promise.all(
    tasks.map(task => readFile(`/proc/${pid}/task/${task}/children`, 'utf8').catch(() => '')),
  )
  const children = lists.join(' ').split(/\s+/).filter(Boolean).map(Number)
  const deeper = await Promise.all(children.map(descendants))
  return [...children, ...deeper.flat()]
}

/** Resident memory of one process, in bytes: now and at its highest since it began. */
export async function residentBytes(pid: number): Promise<{ readonly now: number; readonly peak: number }> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8')
  return { now: kibibytes(status, 'VmRSS') * 1024, peak: kibibytes(status, 'VmHWM') * 1024 }
}

function kibibytes(status: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0)
}

/** Open file descriptors of one process. */
export async function openFiles(pid: number): Promise<number> {
  return (await readdir(`/proc/${pid}/fd`)).length
}
