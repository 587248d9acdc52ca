/**
 * Puts objects until it is killed, four at a time, and says on stdout which were put: `<key>\n`.
 * Arguments: URL of file.js, directory, name of the round.
 */
const [url, directory, round] = process.argv.slice(2)
const { fileStore } = await import(String(url))
const store = fileStore(directory)

/** @param {number} writer */
async function putOn(writer) {
  for (let i = 0; ; i++) {
    const key = `run/seg/${round}-${writer}-${i}`
    const object = Buffer.alloc(50_000 + ((i * 77_777) % 400_000), i)
    await store.put(key, object, { durable: i % 2 === 0 })
    process.stdout.write(`${key}\n`)
    await store.put(`run/state-${writer}`, object, { replace: true, durable: false })
  }
}

await Promise.all([0, 1, 2, 3].map(putOn))
