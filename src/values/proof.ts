/** Whether `write` gives the bytes of `hex`; `ifThrown` when it throws. Never throws. */
export function gives(write: () => Uint8Array, hex: string, ifThrown = false): boolean {
  try {
    return areBytes(write(), hex)
  } catch {
    return ifThrown
  }
}

const DIGITS = '0123456789abcdef'

/** Asks nothing but the language itself: built-ins are what is in doubt. */
function areBytes(bytes: Uint8Array, hex: string): boolean {
  if (bytes.length * 2 !== hex.length) return false
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] as number
    if (hex[at * 2] !== DIGITS[byte >> 4] || hex[at * 2 + 1] !== DIGITS[byte & 15]) return false
  }
  return true
}
