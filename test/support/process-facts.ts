/** What the kernel says of a process. Linux only, like the machines these tests run on. */
import { readdirSync, readFileSync } from 'node:fs'

function statusBytes(pid: number, field: 'VmRSS' | 'VmHWM'): number {
  const match = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  if (!match) throw new Error(`/proc/${pid}/status has no ${field}`)
  return Number(match[1]) * 1024
}

/** Resident memory now. */
export const residentBytes = (pid: number): number => statusBytes(pid, 'VmRSS')

/** The most memory that was ever resident. */
export const peakResidentBytes = (pid: number): number => statusBytes(pid, 'VmHWM')

/** Open files and sockets. */
export const openDescriptors = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

/** The processes that a process has started and that run. */
export function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim()
  return text === '' ? [] : text.split(' ').map(Number)
}
