// Package screen draws lines of text on a terminal, and reads keys from it.
//
// [Open] switches the terminal to its other screen, and [Screen.Close] brings back what was
// there before. The owner draws whole frames, and only lines that have changed are sent.
//
// # Safety
//
// No text can make the terminal do anything: the screen shows a character that is not to be
// printed as a dot. A line is cut at the screen's width, and the terminal does not wrap.
//
// # Limits
//
// A terminal has to know the sequences of ECMA-48 that xterm, tmux, the Linux console and
// Windows' terminals share: positions, erasing, attributes and eight colours. Widths of
// characters are guessed for scripts that are two columns wide. If a guess is wrong, a row is
// not aligned.
//
// # Why no larger library
//
// tcell and bubbletea do more. But they build tables as they are initialised. Of the CPU time of
// "agentctl version", and so of each short command, tcell v3 took 17% more and bubbletea v2
// 15%. This package initialises nothing.
package screen
