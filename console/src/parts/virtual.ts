// A long list of which only what is seen stands in the page.
import { observeWindowOffset, observeWindowRect, Virtualizer, windowScroll } from '@tanstack/virtual-core';
import { useLayoutEffect, useReducer, useRef } from 'preact/hooks';

/** The rows of a long list that are near the window; the page itself scrolls. */
export function useVirtual(count: number, estimate: number, offset: () => number): Virtualizer<Window, HTMLElement> {
  const [, draw] = useReducer((n: number) => n + 1, 0);
  const made = useRef<Virtualizer<Window, HTMLElement>>(undefined);
  const options = {
    count,
    estimateSize: () => estimate,
    overscan: 8,
    scrollMargin: offset(),
    getScrollElement: () => window,
    observeElementRect: observeWindowRect,
    observeElementOffset: observeWindowOffset,
    scrollToFn: windowScroll,
    initialOffset: () => window.scrollY,
    onChange: () => draw(undefined as never),
  };
  made.current ??= new Virtualizer<Window, HTMLElement>(options);
  const virtual = made.current;
  virtual.setOptions(options);
  useLayoutEffect(() => virtual._didMount(), [virtual]);
  useLayoutEffect(() => virtual._willUpdate());
  return virtual;
}
