/** When something happened, for the rows of a log: the time of day, and the day too where it is not today. */
import { dayOf, moment, timeOfDay, utc } from './Time';

const short = new Intl.DateTimeFormat(undefined, { day: 'numeric', month: 'short' });

export function When({ at }: { at: string }) {
  const isToday = dayOf(at) === dayOf(Date.now());
  return (
    <time dateTime={at} title={`${moment(at)}\n${utc(at)}`}>
      {isToday ? timeOfDay(at) : `${short.format(new Date(at))}, ${timeOfDay(at).slice(0, 5)}`}
    </time>
  );
}
