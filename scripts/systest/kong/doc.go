// Package kong tests the program as Kong starts and calls it, with the payloads that Kong sends.
package kong
