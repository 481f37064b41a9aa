// Package backoff decides how long to wait between attempts.
//
// The longest wait doubles with each failed attempt, from Min to Max. Wait
// draws from the whole range below it ("full jitter"), so that many nodes that
// failed at once do not come back at once. Ceiling gives the longest wait
// itself, for pauses that need no jitter because nobody else shares them.
//
// A Backoff holds no state: the caller counts its attempts, and starts again at
// 1 after a success. It is safe for concurrent use.
package backoff
