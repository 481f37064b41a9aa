// Package logs brings the log lines of an agent together. The agent writes its
// own lines with log/slog. Serf and memberlist write lines that begin with a
// level in brackets.
//
// # Order
//
// [Hub] passes every line to its subscribers, such as serf's monitor command,
// and to its output. Each of them gets the lines of one goroutine in the order
// in which it wrote them. A new subscriber first gets the 512 most recent lines,
// whatever their level, as with serf.
//
// # Blocking
//
// A log call never waits for the output, because serf writes log lines while it
// holds its locks. A subscriber's function is called within the log call, so it
// must neither block nor log. [Hub.Close] waits for the output for at most five
// seconds.
//
// # Loss
//
// The output has a queue of 8,192 lines. If a terminal, a pipe or a disk does
// not take lines in time, the lines that do not fit are lost. The Hub counts
// them, and writes the count when the output takes lines again.
//
// The debug lines of [Hub.LiveLogger] are not made at all while neither the
// output nor a subscriber wants them.
//
// A client or a peer can cause very many equal lines. [Sampled] writes such a
// line at most once in an interval, and says in the next one how many it left
// out. It remembers 64 kinds of lines.
//
// # Serf's words
//
// A Hub with the format "serf" writes what stock serf writes: its lines, at its
// levels and in its words, for the output, for subscribers and for syslog. The
// parts of the agent know nothing of that. They log a message with attributes, and
// one table gives serf's wording of it. Lines that stock serf does not have keep our
// words. [ForSerf] marks attributes that only serf's wording takes.
//
// # Levels
//
// Levels are serf's: TRACE, DEBUG, INFO, WARN and ERR, in any case.
package logs
