/** The parts that every view shares. */
export { useAddress, type Address } from './address';
export { Badge, Status, count, words, type Tone } from './Badge';
export { Choices, type Choice } from './Choices';
export { CopyBox, CopyButton } from './Copy';
export { DataTable, type Column } from './DataTable';
export { Dialog } from './Dialog';
export { Field, Form, typed } from './Form';
export { Menu, type MenuItem } from './Menu';
export { Meter } from './Meter';
export { NewestList } from './NewestList';
export { EmptyState, Loading, NoPermission, ProblemNote, Shown } from './notes';
export { Since, beginOf } from './Since';
export { Time, ago, dayOf, duration, moment, now, timeOfDay, utc } from './Time';
export { Toasts, toast } from './Toasts';
export { ProjectPick } from './ProjectPick';
export { ViewHead } from './ViewHead';
export { VirtualList } from './VirtualList';
export { When } from './When';
