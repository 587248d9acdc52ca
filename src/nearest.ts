/** How many names are suggested at most. */
const SUGGESTIONS = 3

/** `. Did you mean 'a' or 'b'?`, of those of `names` most like `name`; '' when none is. */
export function didYouMean(name: string, names: readonly string[]): string {
  const near = nearest(name, names).map((it) => `'${it}'`)
  return near.length === 0 ? '' : `. Did you mean ${near.join(' or ')}?`
}

/** The names that begin alike or differ in at most a third of their letters, best first. */
export function nearest(name: string, names: readonly string[]): string[] {
  return names
    .map((it) => ({ it, distance: it.startsWith(name) || name.startsWith(it) ? 0 : editDistance(name, it) }))
    .filter(({ it, distance }) => distance <= Math.max(it.length, name.length) / 3)
    .toSorted((a, b) => a.distance - b.distance)
    .slice(0, SUGGESTIONS)
    .map(({ it }) => it)
}

/** Levenshtein's: letters to change, add or leave out. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] as number) + 1, (next[j - 1] as number) + 1))
    }
    row = next
  }
  return row[b.length] as number
}
