/**
 * Has many hear of what is listened to once, as long as anybody wants to: `listen` is given what tells them, and gives what ends
 * that. To add a hearer gives what takes it back. Node would warn of the eleventh listener, and a server may have one signal for
 * all its runs.
 */
export function createHearing(listen: (tell: () => void) => () => void): (hearer: () => void) => () => void {
  const hearers = new Set<() => void>()
  let end: (() => void) | undefined
  const tell = () => {
    for (const hearer of [...hearers]) hearer()
  }
  return (hearer) => {
    hearers.add(hearer)
    end ??= listen(tell)
    return () => {
      hearers.delete(hearer)
      if (hearers.size > 0) return
      end?.()
      end = undefined
    }
  }
}
