import { execFileSync } from 'node:child_process'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { packError } from '../src/carried-error.ts'
import { RunFailedError, TaskTimeoutError } from '../src/errors.ts'
import { inShell, option, worded, wordedList, wording, wordsIn, wordsInList } from '../src/wording.ts'

describe('wording', () => {
  const inner = wording`raise ${option('timeout')}`
  const words = wording`Cannot go on with ${3} items (${option('maxFailures', 'maxFailures')}): ${inner}, or ${'stop'}`

  test('is what a program is told as a string, mentions of its parts included', () => {
    expect(String(words)).toBe("Cannot go on with 3 items (maxFailures): raise 'timeout', or stop")
  })

  test('says it with other names for what is mentioned, and nothing else', () => {
    const named = words.say((mention) => (mention.about === 'option' ? `--${mention.option}` : 'nothing'))
    expect(named).toBe('Cannot go on with 3 items (--maxFailures): raise --timeout, or stop')
  })
})

describe('worded()', () => {
  const words = wording`too many (${option('maxFailures', 'maxFailures')})`
  const error = worded(words, (message) => new RunFailedError(message))
  const warning = worded(words, (message) => ({ code: 'RUN_FAILED', message }))

  test('gives the message to what it makes, and has it keep the words', () => {
    expect(error).toMatchObject({ message: 'too many (maxFailures)', stack: expect.stringContaining('too many (maxFailures)') })
    expect([wordsIn(error), wordsIn(warning)]).toEqual([words, words])
    expect(wordsIn(new Error('of somebody else'))).toBe('of somebody else')
  })

  test('shows nobody the words: who compares, shows, clones or records sees the message alone', () => {
    const plain = { code: 'RUN_FAILED', message: 'too many (maxFailures)' }
    expect(warning).toStrictEqual(plain)
    expect(inspect(warning)).toBe(inspect(plain))
    expect(Reflect.ownKeys(structuredClone(warning))).toEqual(['code', 'message'])
    const { stack, ...carried } = packError(error)
    expect(carried).toStrictEqual({
      name: 'RunFailedError',
      message: 'too many (maxFailures)',
      fields: { code: 'ERR_PAWL_RUN_FAILED', report: undefined },
    })
    expect(stack).toBe(error.stack)
    expect(inspect(new TaskTimeoutError(3, '3', 50))).not.toMatch(/words|Wording/)
  })
})

test('wordedList() is a list of messages that keeps the words of each', () => {
  const words = ['as it is', wording`raise ${option('timeout')}`]
  const list = wordedList(words)
  expect(list).toStrictEqual(['as it is', "raise 'timeout'"])
  expect(wordsInList(list)).toEqual(words)
  expect(wordsInList(['of somebody else'])).toEqual(['of somebody else'])
})

describe('inShell()', () => {
  test.each(['runs', './a/b-c.d', 'task.js#name', 'läufe', 'K=1,2:3@4%5+6'])('leaves %j', (text) => {
    expect(inShell(text)).toBe(text)
  })

  test('gives one word, and the same text, to a shell', () => {
    const texts = ['my runs', "it's", '"$HOME"', '`id`', 'a\\b', "'", '!!', '*', '~', '#x', '', 'a;b', 'a\nb', '\\', "$(id) 'x'"]
    const words = execFileSync('sh', ['-c', `printf '%s\\0' ${texts.map(inShell).join(' ')}`], { encoding: 'utf8' })
    expect(words.split('\0').slice(0, -1)).toEqual(texts)
    expect(inShell('my runs')).toBe('"my runs"')
  })
})
