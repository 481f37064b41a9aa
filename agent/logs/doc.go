// Package logs brings the log lines of an agent together: its own, written
// with log/slog, and those of serf and memberlist, which write lines that
// begin with a level in brackets.
//
// # Order and loss
//
// [Hub] passes every line to its subscribers (serf's monitor command) in
// order, and to its output through a bounded queue: a terminal, pipe or disk
// that does not take lines costs lines, never time, since serf writes its log
// lines while it holds its locks. Lines lost that way are counted, and the
// count is written when the output takes lines again.
//
// The debug lines of [Hub.LiveLogger] are not made at all while neither the
// output nor a subscriber wants them. All others are among the recent lines that
// a subscriber gets first, whatever their level, as with serf.
//
// Levels are serf's: TRACE, DEBUG, INFO, WARN and ERR, in any case.
package logs
