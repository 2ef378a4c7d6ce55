/** For what no event tells of: reads again every so often, as long as somebody looks at the page. */
import { useEffect, useRef } from 'preact/hooks';

/** Runs `read` every `everyMs` while the page is seen and `isOn`, and at once when it is seen again. */
export function usePoll(read: () => Promise<void> | void, everyMs: number, isOn = true): void {
  const reader = useRef(read);
  reader.current = read;
  useEffect(() => {
    if (!isOn) return;
    let timer: number | undefined;
    let isStopped = false;
    const wait = () => {
      clearTimeout(timer);
      if (!isStopped && document.visibilityState === 'visible') timer = setTimeout(go, everyMs) as unknown as number;
    };
    // The next one waits for this one: a service that is slow is not asked faster.
    const go = async () => {
      try {
        await reader.current();
      } catch (thrown) {
        console.error(thrown);
      }
      wait();
    };
    const seen = () => {
      clearTimeout(timer);
      if (document.visibilityState === 'visible') void go();
    };
    wait();
    document.addEventListener('visibilitychange', seen);
    return () => {
      isStopped = true;
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', seen);
    };
  }, [everyMs, isOn]);
}
