/** Writes: one at a time, with their state for a button and their problem for a form. */
import { useCallback, useRef, useState } from 'preact/hooks';
import { Problem } from './problem';

export interface Write<Args extends unknown[], T> {
  /** Does it; gives nothing when it failed, which `problem` then tells. */
  run: (...args: Args) => Promise<T | undefined>;
  isRunning: boolean;
  problem: Problem | undefined;
  reset: () => void;
}

/** A write. While it runs, running it again does nothing: a double click is one deed. */
export function useWrite<Args extends unknown[], T>(write: (...args: Args) => Promise<T>): Write<Args, T> {
  const [isRunning, setRunning] = useState(false);
  const [problem, setProblem] = useState<Problem>();
  const running = useRef(false);
  const writer = useRef(write);
  writer.current = write;
  const run = useCallback(async (...args: Args) => {
    if (running.current) return undefined;
    running.current = true;
    setRunning(true);
    setProblem(undefined);
    try {
      return await writer.current(...args);
    } catch (thrown) {
      setProblem(Problem.from(thrown));
      return undefined;
    } finally {
      running.current = false;
      setRunning(false);
    }
  }, []);
  const reset = useCallback(() => setProblem(undefined), []);
  return { run, isRunning, problem, reset };
}

/** A new `Idempotency-Key`: the same write, sent again with it, has one effect. */
export const idempotencyKey = (): string => {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
};

/** The `Idempotency-Key` of a wish: the same words, sent again over a bad line, are the same wish. */
export function useWishes(): (wish: unknown) => string {
  const keys = useRef(new Map<string, string>());
  return useCallback((wish: unknown) => {
    const words = JSON.stringify(wish);
    const key = keys.current.get(words) ?? idempotencyKey();
    keys.current.set(words, key);
    return key;
  }, []);
}
