// The pages that people read: every link leads somewhere, and no sentence is too long to be read once.
import assert from 'node:assert/strict';
import { existsSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { describe, test } from 'node:test';

import { ROOT } from '../../stack/places.ts';
import { pageText } from '../fixtures/page.ts';

const LONGEST_SENTENCE = 30;
const NOT_OURS = new Set(['.git', 'node_modules', 'target', 'build', 'dist']);

/** Every Markdown file of the project, by its path from the root. */
function pages(folder = ''): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name)) return [];
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return pages(path);
    return entry.name.endsWith('.md') ? [path] : [];
  });
}

/** A page without its blocks of code. */
function text(page: string): string {
  return pageText(page).replaceAll(/^( *)```[\s\S]*?^\1```$/gm, '');
}

/** A page without its code: what stands between backticks becomes one word. */
function prose(page: string): string {
  return text(page).replaceAll(/`[^`]+`/g, 'code');
}

/** The anchors of a page's headings, as GitHub makes them. */
function anchors(page: string): Set<string> {
  const headings = [...text(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => heading!.toLowerCase());
  return new Set(
    headings.map((heading) => heading.replaceAll(/[^\p{Letter}\p{Number}\- _]/gu, '').replaceAll(' ', '-')),
  );
}

/** What is wrong with the relative links of a page. */
function deadLinks(page: string): string[] {
  const targets = [...prose(page).matchAll(/\]\((?<target>[^)\s]+)\)/g)].map(({ groups }) => groups!['target']!);
  return targets
    .filter((target) => !/^[a-z]+:/.test(target))
    .filter((target) => {
      const [path, anchor] = target.split('#');
      const file = path === '' ? page : relative(ROOT, normalize(join(ROOT, dirname(page), path!)));
      return !existsSync(join(ROOT, file)) || (anchor !== undefined && !anchors(file).has(anchor));
    });
}

/** The sentences of a page's paragraphs and lists. Tables and headings have none. */
function sentences(page: string): string[] {
  const lines = prose(page)
    .split('\n')
    .filter((line) => !/^\s*\|/.test(line));
  const apart = lines.map((line) => (/^\s*(#+|\d+\.|[-*])\s/.test(line) ? `\n${line}` : line));
  const paragraphs = apart
    .join('\n')
    .split(/\n\s*\n/)
    .filter((paragraph) => !paragraph.trimStart().startsWith('#'));
  return paragraphs.flatMap((paragraph) => paragraph.split(/(?<=[.!?][)*_"]*)\s+/));
}

function words(sentence: string): number {
  return sentence
    .replaceAll(/\]\([^)]*\)/g, '')
    .split(/\s+/)
    .filter((word) => /[\p{Letter}\p{Number}]/u.test(word)).length;
}

describe('the pages', () => {
  test('link to pages and headings that are there', () => {
    const dead = pages().flatMap((page) => deadLinks(page).map((target) => `${page}: ${target}`));
    assert.deepEqual(dead, []);
  });

  test(`have no sentence of more than ${LONGEST_SENTENCE} words`, () => {
    const read = pages().filter((page) => /^(README|ARCHITECTURE)\.md$|^docs\//.test(page));
    assert.ok(read.length > 20);
    const long = read.flatMap((page) =>
      sentences(page)
        .filter((sentence) => words(sentence) > LONGEST_SENTENCE)
        .map((sentence) => `${page}: ${words(sentence)} words: ${sentence}`),
    );
    assert.deepEqual(long, []);
  });
});
