/** A table of up to some hundred rows; for more there is `VirtualList`. It scrolls sideways in itself on a narrow page. */
import type { ComponentChildren, Key } from 'preact';

export interface Column<T> {
  title: string;
  cell: (row: T) => ComponentChildren;
  /** What names the row, for those who hear it; one column at most. */
  isHead?: boolean;
  /** Numbers stand at the end. */
  isEnd?: boolean;
  /** The title is for screen readers alone, as above a column of buttons. */
  isSilent?: boolean;
}

interface TableProps<T> {
  /** What the table lists, for those who hear it. */
  label: string;
  columns: Column<T>[];
  rows: readonly T[];
  rowKey: (row: T) => Key;
}

export function DataTable<T>({ label, columns, rows, rowKey }: TableProps<T>) {
  return (
    <div class="table-frame sheet" role="region" aria-label={label} tabIndex={0}>
      <table class="table">
        <thead>
          <tr>
            {columns.map(({ title, isEnd, isSilent }) => (
              <th scope="col" key={title} class={isEnd ? 'end' : undefined}>
                <span class={isSilent ? 'unseen' : undefined}>{title}</span>
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={rowKey(row)}>
              {columns.map(({ title, cell, isHead, isEnd }) =>
                isHead ? (
                  <th scope="row" key={title}>
                    {cell(row)}
                  </th>
                ) : (
                  <td key={title} class={isEnd ? 'end' : undefined}>
                    {cell(row)}
                  </td>
                ),
              )}
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}
