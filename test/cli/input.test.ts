import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { keyFrom, readInput } from '../../src/cli/input.ts'
import { readLines } from '../../src/cli/lines.ts'

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'pawl-input-'))
})
afterEach(() => rm(directory, { recursive: true }))

async function read(name: string, content: string | Uint8Array) {
  const path = join(directory, name)
  await writeFile(path, content)
  return (await readInput(path)).items
}

describe('readLines()', () => {
  test('gives the same lines however the bytes are cut', async () => {
    const line = fc.string({ unit: 'binary' }).map((text) => text.toWellFormed().replace(/[\r\n\ufeff]/g, '-'))
    const property = fc.asyncProperty(
      fc.array(line),
      fc.constantFrom('\n', '\r\n'),
      fc.array(fc.nat(60)),
      async (lines, end, cuts) => {
        const bytes = Buffer.from(lines.map((it) => it + end).join(''))
        const parts = async function* () {
          let at = 0
          for (const size of [...cuts, bytes.length]) yield bytes.subarray(at, (at += size))
        }
        const read: string[] = []
        for await (const block of readLines(parts(), 'x')) read.push(...block)
        expect(read).toEqual(lines)
      },
    )
    await fc.assert(property)
  })
})

describe('readInput() of JSONL', () => {
  test('gives one value per line, with a byte order mark, CRLF, U+2028 and no last newline', async () => {
    expect(await read('a.jsonl', '\ufeff{"a":1}\r\n"\u2028"\r\nnull\r\n[2]')).toEqual([{ a: 1 }, '\u2028', null, [2]])
    expect(await read('A.NDJSON', '1\n2\n')).toEqual([1, 2])
    expect(await read('empty.jsonl', '')).toEqual([])
  })

  test('leaves out blank lines at the end only', async () => {
    expect(await read('a.jsonl', '1\n\n \n')).toEqual([1])
    await expect(read('a.jsonl', '1\n\n2\n')).rejects.toThrow(/a\.jsonl, line 2: expected a JSON value, got a blank line/)
  })

  test('names the line of what is no JSON or no UTF-8', async () => {
    await expect(read('a.jsonl', '1\n{bad\n3\n')).rejects.toThrow(/a\.jsonl, line 2: expected a JSON value, got \{bad/)
    await expect(read('a.jsonl', Buffer.from([0x31, 10, 0x32, 10, 0x22, 0xff, 0x22, 10]))).rejects.toThrow(
      /line 3: expected UTF-8/,
    )
  })
})

describe('readInput() of text', () => {
  test('gives one string per line, blank ones too', async () => {
    expect(await read('a.txt', 'x\n\n y\r\n')).toEqual(['x', '', ' y'])
  })
})

describe('readInput() of CSV', () => {
  test('gives one object of strings per row', async () => {
    const items = await read('a.csv', '\ufeffname,__proto__\r\n"a, ""b""\nc",1\r\n,\r\n\r\n')
    expect(items).toEqual([JSON.parse('{"name":"a, \\"b\\"\\nc","__proto__":"1"}'), JSON.parse('{"name":"","__proto__":""}')])
  })

  test('takes a quoted empty field for an item, and a blank line for none, also where rows have one field', async () => {
    expect(await read('a.csv', 'name\nA\n""\n')).toEqual([{ name: 'A' }, { name: '' }])
    expect(await read('a.csv', 'name\r\n""\r\n""\r\nB\r\n""')).toEqual([{ name: '' }, { name: '' }, { name: 'B' }, { name: '' }])
    expect(await read('a.csv', 'name\n""\n\n\n')).toEqual([{ name: '' }])
    expect(await read('a.csv', '\ufeffname\n\n')).toEqual([])
    await expect(read('a.csv', 'name\n""\n\n""\n')).rejects.toThrow(/a\.csv, line 3: expected 1 field as .* got a blank line/)
    await expect(read('a.csv', 'a,b\n1,2\n""\n')).rejects.toThrow(/a\.csv, line 3: expected 2 fields as in the first row, got 1/)
  })

  test('names the line of a row with too few fields, an open quote, a blank line', async () => {
    await expect(read('a.csv', 'a,b\n1,2\n3\n')).rejects.toThrow(/a\.csv, line 3: expected 2 fields as in the first row, got 1/)
    await expect(read('a.csv', 'a,b\n1,"x\ny"\n1,"2\n3,4\n5,6\n')).rejects.toThrow(
      /a\.csv, line 4: expected every quote of the row that begins there to be closed/,
    )
    await expect(read('a.csv', 'a,"b\n1,2\n')).rejects.toThrow(/a\.csv, line 1: expected every quote/)
    await expect(read('a.csv', 'a,b\n\n1,2\n')).rejects.toThrow(/a\.csv, line 2: .* got a blank line/)
    await expect(read('a.csv', 'a,a\n1,2\n')).rejects.toThrow(/'a' twice/)
    await expect(read('a.csv', Buffer.from('a,b\n1,2\n\xff,4\n', 'latin1'))).rejects.toThrow(/a\.csv, line 3: expected UTF-8/)
  })
})

describe('readInput() of paths', () => {
  test('gives the files that match a glob, in one order', async () => {
    await mkdir(join(directory, 'd'))
    for (const name of ['b.js', 'a.js', 'd/c.js', 'a.txt']) await writeFile(join(directory, name), '')
    const { kind, items } = await readInput(join(directory, '**/*.js'))
    expect(kind).toBe('glob')
    expect((items as string[]).map((it) => it.slice(it.lastIndexOf('pawl-input-')).replace(/^[^/]*\//, ''))).toEqual([
      'a.js',
      'b.js',
      'd/c.js',
    ])
  })

  test('takes an existing file with glob characters as the file', async () => {
    expect(await read('a[1].jsonl', '7\n')).toEqual([7])
  })

  test.each([
    ['nothing.jsonl', /expected a file or a glob, got nothing of that name/],
    ['*.nothing', /expected at least one file that matches, got none/],
    ['.', /expected a file or a glob such as .*, got a directory/],
  ])('refuses %s', async (name, message) => {
    await expect(readInput(join(directory, name))).rejects.toThrow(message)
  })

  test('refuses an extension it does not know', async () => {
    await expect(read('a.xml', '')).rejects.toThrow(/expected a file that ends in one of \.jsonl, \.ndjson, \.csv, \.txt/)
  })
})

describe('keyFrom()', () => {
  const placeOf = (index: number) => `line ${index + 1}`

  test('is the text of a field, or of the item', () => {
    expect(keyFrom('id', placeOf)({ id: 7 }, 0)).toBe('7')
    expect(keyFrom('.', placeOf)('a.txt', 0)).toBe('a.txt')
  })

  test.each([
    ['id', { name: 'x' }, "item 2 (line 3): expected a string or a number in field 'id', got no such field"],
    ['toString', {}, 'got no such field'],
    ['id', { id: null }, 'got null'],
    ['id', 'text', 'got an item that has no fields'],
    ['.', { a: 1 }, 'expected a string or a number as the item'],
  ])('refuses %s of %j', (field, item, message) => {
    expect(() => keyFrom(field, placeOf)(item, 2)).toThrow(message)
  })
})
