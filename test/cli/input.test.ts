import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { readBlocks } from '../../src/cli/blocks.ts'
import { readFile } from '../../src/cli/file-input.ts'
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

  test('takes a line as long as a string may be, and names one that is longer', async () => {
    const read: string[] = []
    const readParts = async (...parts: string[]) => {
      read.length = 0
      const bytes = (async function* () {
        for (const part of parts) yield Buffer.from(part)
      })()
      for await (const block of readLines(bytes, 'x', 10)) read.push(...block)
    }
    await readParts('1\n12345', '6789\n2\n3', '\n')
    expect(read).toEqual(['1', '123456789', '2', '3'])
    await expect(readParts('1\n2\n12345', '67890\n3\n')).rejects.toThrow(
      'Cannot read x, line 3: expected a line of at most 10 B, got a longer one',
    )
    await expect(readParts('1\n', '12345', '678901')).rejects.toThrow('Cannot read x, line 2: expected a line of at most 10 B')
    expect(read).toEqual(['1'])
  })
})

describe('readFile()', () => {
  const path = () => join(directory, 'long')
  const readLong = async (kind: 'jsonl' | 'text' | 'csv', content: string, longest: number) => {
    await writeFile(path(), content)
    return readFile({ kind, path: path(), field: undefined, engines: undefined, longest })
  }

  test.each([
    ['jsonl', '1\n"3456789"\n2\n', ''],
    ['jsonl', '1\n"34567890"\n2\n', 'line 2: expected a line of at most 10 B, got a longer one'],
    ['jsonl', '1\n\n"34567890ä"\n', 'line 3: expected a line of at most 10 B'],
    ['text', 'a\nb\nc\n12345678901', 'line 4: expected a line of at most 10 B'],
    ['csv', 'a\n"3\n4"\n"5678"\n1\n', 'line 4: expected a row of at most 5 B, got a longer one'],
    ['csv', 'abcdefghij\n1\n', 'line 1: expected a row of at most 5 B'],
  ] as const)('of %s %j with lines of 10 bytes at most names the line that is longer', async (kind, content, problem) => {
    const reading = readLong(kind, content, 10)
    if (problem === '') expect(await reading).toMatchObject({ items: [1, '3456789', 2] })
    else await expect(reading).rejects.toThrow(`Cannot read ${path()}, ${problem}`)
  })

  test('reads no more of a line that is too long than tells so', async () => {
    await writeFile(path(), '1\n'.padEnd(2 ** 23, 'x'))
    let length = 0
    for await (const block of readBlocks(path(), 'jsonl', 2 ** 20)) length += block.length
    expect(length).toBeLessThanOrEqual(2 ** 21)
    await expect(
      readFile({ kind: 'jsonl', path: path(), field: undefined, engines: undefined, longest: 2 ** 20 }),
    ).rejects.toThrow('line 2: expected a line of at most 1.0 MB')
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

  test('refuses a blank line in place of the names, unless nothing follows', async () => {
    const sentence = /a\.csv, line 1: expected the names of the columns, got a blank line/
    for (const content of ['\n1\n2\n', '\ufeff\r\na,b\r\n1,2\r\n', '\n\nname\nA\n', '\r\r1'])
      await expect(read('a.csv', content)).rejects.toThrow(sentence)
    for (const content of ['\n', '\r\n\r\n', '\ufeff\n\n\n']) expect(await read('a.csv', content)).toEqual([])
    expect(await read('a.csv', '""\nA\n')).toEqual([{ '': 'A' }])
  })

  test('names the line of a row with too few fields, an open quote, a blank line', async () => {
    await expect(read('a.csv', 'a,b\n1,2\n3\n')).rejects.toThrow(/a\.csv, line 3: expected 2 fields as in the first row, got 1/)
    await expect(read('a.csv', 'a,b\n1,"x\ny"\n1,"2\n3,4\n5,6\n')).rejects.toThrow(
      /a\.csv, line 4: expected every quote of the row that begins there to be closed/,
    )
    await expect(read('a.csv', 'a,"b\n1,2\n')).rejects.toThrow(/a\.csv, line 1: expected every quote/)
    await expect(read('a.csv', 'a,b\n\n1,2\n')).rejects.toThrow(/a\.csv, line 2: .* got a blank line/)
    await expect(read('a.csv', 'a,b,a\n1,2,3\n')).rejects.toThrow(/got 'a' for columns 1 and 3\. Name each in the first row, or/)
    await expect(read('a.csv', 'a,,,\n1,,,\n')).rejects.toThrow(
      /got none for columns 2, 3 and 4\. Name each in the first row, or/,
    )
    await expect(read('a.csv', `a${','.repeat(16_383)}\n`)).rejects.toThrow(
      /got none for columns 2, 3, 4, 5, 6 and 16378 more\. Name/,
    )
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

  test.each([
    // The pattern, what it gives, and which of that are links.
    ['a/*.txt', ['a/here.txt', 'a/in.txt', 'a/lost.txt'], ['a/in.txt', 'a/lost.txt']],
    ['*/in.txt', ['a/in.txt', 'b/in.txt', 'to-b/in.txt'], ['a/in.txt']],
    ['**/in.txt', ['a/in.txt', 'b/in.txt'], ['a/in.txt']],
    ['{a,to-b}/in.txt', ['a/in.txt', 'to-b/in.txt'], ['a/in.txt']],
    ['{a,b/*,to-b}/in.txt', ['a/in.txt'], ['a/in.txt']],
    ['b/*/*/in.txt', ['b/round/a/in.txt', 'b/round/b/in.txt', 'b/round/to-b/in.txt'], ['b/round/a/in.txt']],
  ])(
    'of %s gives symbolic links to files, too, and goes through those to directories where that ends',
    async (glob, ...expected) => {
      for (const name of ['a', 'b']) await mkdir(join(directory, name))
      for (const name of ['a/here.txt', 'b/in.txt']) await writeFile(join(directory, name), '')
      for (const [name, target] of Object.entries({
        'a/in.txt': '../b/in.txt',
        'a/lost.txt': 'gone',
        'to-b': 'b',
        'b/round': '..',
      }))
        await symlink(target, join(directory, name))
      const { items, linked } = await readInput(join(directory, glob))
      const shorten = (paths: readonly unknown[] = []) => paths.map((path) => relative(directory, resolve(String(path)))).sort()
      expect([shorten(items as string[]), shorten(linked)]).toEqual(expected)
    },
  )

  test
    .skipIf(process.platform === 'win32')
    .each(['a\\\\b/*.txt', 'a*/*.txt', 'a\\\\b/c\\[1\\]/../*.txt', '{a\\\\b,c}/*.txt', 'a\\\\b/!(no).txt', 'a\\\\b/!yes.txt*'])(
    'finds what lies in a directory with a backslash in its name by %s',
    async (glob) => {
      await mkdir(join(directory, 'a\\b'))
      for (const name of ['!yes.txt', 'no.md']) await writeFile(join(directory, 'a\\b', name), '')
      const { items } = await readInput(join(directory, glob))
      expect((items as string[]).map((path) => relative(directory, resolve(path)))).toEqual(['a\\b/!yes.txt'])
    },
  )

  test.skipIf(process.platform === 'win32').each(['**', '**/*\u2028*', 'a\nb/**', 'a?b/**/x*', '*/*/*\r*'])(
    'finds by %j what has ends of lines in its name and in those of directories',
    async (glob) => {
      const names = ['a\nb/c\rd/x\u2028\r\u{10000}.txt', 'a\nb/c\rd/x\u2028\r\u{10000}.link']
      await mkdir(join(directory, 'a\nb/c\rd'), { recursive: true })
      await writeFile(join(directory, names[0] as string), '')
      await symlink('gone', join(directory, names[1] as string))
      const { items, linked } = await readInput(join(directory, glob))
      expect((items as string[]).map((path) => relative(directory, resolve(path))).sort()).toEqual(names.toSorted())
      expect(linked).toHaveLength(1)
    },
  )

  test.each([
    ['x\\{1,2\\}/*.txt', 'x{1,2}/a.txt'],
    ['x[{]1,2}/*.txt', 'x{1,2}/a.txt'],
    ['x{1,2}/*.txt', 'x1/a.txt'],
    ['x{1}/?.txt', 'x{1}/a.txt'],
    ['x\\{1\\}/a.*', 'x{1}/a.txt'],
  ])('finds by %s what is in a directory of a name with braces, or of one of those in them', async (glob, ...names) => {
    for (const name of ['x{1,2}', 'x{1}', 'x1']) {
      await mkdir(join(directory, name))
      await writeFile(join(directory, name, 'a.txt'), '')
    }
    const { items } = await readInput(join(directory, glob))
    expect((items as string[]).map((path) => relative(directory, resolve(path)))).toEqual(names)
  })

  test('finds nothing that belongs to runs which are recorded there', async () => {
    const run = 'runs/r'
    const files = [
      `${run}/run/0f.json`,
      `${run}/seg/0mbeoof4bab1-0.json`,
      `${run}/lease/0mbeoof4bab1`,
      'runs/mine.json',
      'a.json',
    ]
    for (const name of files) {
      await mkdir(dirname(join(directory, name)), { recursive: true })
      await writeFile(join(directory, name), '')
    }
    const namesOf = async (options: Parameters<typeof readInput>[1]) =>
      ((await readInput(join(directory, '**'), options)).items as string[])
        .map((path) => relative(directory, resolve(path)))
        .sort()
    expect(await namesOf({})).toEqual(files.toSorted())
    expect(await namesOf({ directory: join(directory, 'elsewhere') })).toEqual(files.toSorted())
    expect(await namesOf({ directory: join(directory, 'runs') })).toEqual(['a.json', 'runs/mine.json'])
    await symlink('runs', join(directory, 'link'))
    expect(await namesOf({ directory: join(directory, 'link') })).toEqual(['a.json', 'runs/mine.json'])
  })

  test('finds none of it either from a working directory within the record', async () => {
    const place = process.cwd()
    const seg = join(directory, 'r/seg')
    await mkdir(seg, { recursive: true })
    for (const name of ['0mbeoof4bab1-0.json', 'mine.json']) await writeFile(join(seg, name), '')
    try {
      process.chdir(seg)
      expect((await readInput('*', { directory: '../..' })).items).toEqual(['mine.json'])
    } finally {
      process.chdir(place)
    }
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

test.skipIf(process.platform !== 'linux').each(['caf\xe9.h', 'caf\xe9/a.h'])(
  'readInput() refuses a glob that matches %j, a name that is no UTF-8',
  async (name) => {
    const path = Buffer.from(join(directory, name), 'latin1')
    await mkdir(path.subarray(0, path.lastIndexOf(0x2f)), { recursive: true })
    await writeFile(path, '')
    await writeFile(join(directory, 'z\ufffd.h'), '')
    await expect(readInput(`${directory}/**/*.h`)).rejects.toThrow(
      /expected names of files in UTF-8, got other bytes in '.*caf\ufffd/,
    )
    expect((await readInput(`${directory}/z*.h`)).items).toEqual([expect.stringMatching(/z\ufffd\.h$/)])
  },
)

test.each([
  ['a.jsonl', /expected text, got gzip\. 'gunzip -c .*a\.jsonl \| pawl run … --input -' reads it$/],
  ['a.jsonl.gz', /expected text, got gzip\. 'gunzip -c .*a\.jsonl\.gz \| pawl run/],
  ['a.csv.GZ', /expected text, got gzip\. 'gunzip -c .*a\.csv\.GZ > FILE\.csv' makes a file to read of it$/],
])('readInput() says of %s that it is gzip', async (name, sentence) => {
  await expect(read(name, gzipSync('1\n2\n'))).rejects.toThrow(sentence)
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
