/** Whether a view is come to from another one: then its heading takes the focus, which the first page leaves alone. */
let isFirst = true;
let hasArrived = false;

/** Told by the router at each change of the path. */
export function arrive(): void {
  hasArrived = !isFirst;
  isFirst = false;
}

/** Whether the heading that was just drawn takes the focus; true once per arrival. */
export function arriving(): boolean {
  const answer = hasArrived;
  hasArrived = false;
  return answer;
}
