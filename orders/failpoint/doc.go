// Package failpoint marks the places at which a process is killed to see whether anything gets lost: right before and
// right after everything that others see, or that the disk keeps. The crash walk (contrib/scenario) goes from one to the
// next.
//
// Only a build with the tag failpoints has them. In every other build Hit is empty and its words are not in the binary:
//
//	go build -tags failpoints ./plugin ./contrib/holdinvoice
//
// Such a build does nothing special either until MOSTRO_FAILPOINTS names a directory. In it are
//
//	trace   every point that was reached, by any process, one a line: "mostro before commit take-sell"
//	armed   orders that somebody else writes: "2 kill mostro before commit take-sell" is obeyed when the trace has that
//	        line for the second time
//	done    orders that were obeyed
//
// "kill" is a SIGKILL to the process itself. "stop" lets the goroutine that came there go no further, for good: whoever
// wrote the order then kills something else, such as the node, at just that place.
//
// All processes together count, and also those that were started again, so an order is obeyed once.
package failpoint

// Variable is the environment variable that names the directory.
const Variable = "MOSTRO_FAILPOINTS"
