const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** What a duration looks like on the command line, to complete "expected …". */
export const DURATION_FORM = 'a duration such as 100ms, 30s, 5m, 2h or 7d (a bare number is milliseconds)'

/** Milliseconds of `100ms`, `30s`, `1.5m`, `2h`, `7d` or a bare number; undefined for anything else. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$/.exec(text)
  if (!match) return undefined
  return Number(match[1]) * (UNITS[match[2] ?? 'ms'] as number)
}

/** A duration for people: `850ms`, `12.3s`, `4m 05s`, `2h 03m`, `3d 4h`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`
  if (ms < 59_950) return `${(ms / 1000).toFixed(1)}s`
  const seconds = Math.round(ms / 1000)
  const minutes = Math.floor(seconds / 60)
  if (minutes < 60) return `${minutes}m ${twoDigits(seconds % 60)}s`
  const hours = Math.floor(minutes / 60)
  if (hours < 24) return `${hours}h ${twoDigits(minutes % 60)}m`
  return `${Math.floor(hours / 24)}d ${hours % 24}h`
}

/** An estimate for people, no finer than it is good for: `about 15s`, `about 4m`, `about 2h 03m`. */
export function formatEstimate(ms: number): string {
  if (ms < 60_000) return `about ${Math.max(1, Math.round(ms / 1000))}s`
  return ms < 3_600_000 ? `about ${Math.round(ms / 60_000)}m` : `about ${formatDuration(ms)}`
}

function twoDigits(value: number): string {
  return String(value).padStart(2, '0')
}
