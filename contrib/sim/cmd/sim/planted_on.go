//go:build planted

package main

import (
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/mostro-cln/mostro/contrib/sim"
)

var bugs = flag.String("planted", "all", "which planted bugs to look for, with commas between; none: a usual run")

func hunting() bool { return *bugs != "none" }

// hunt looks for one bug after the other and fails if one is not found.
func hunt(o sim.Options) int {
	missed, sought := 0, 0
	for _, b := range sim.Bugs {
		if *bugs != "all" && !strings.Contains(","+*bugs+",", ","+b.Name+",") {
			continue
		}
		f, err := sim.Hunt(b, o)
		if err != nil {
			fmt.Fprintln(os.Stderr, "sim:", err)
			return 1
		}
		sought++
		if f.Violation == nil {
			missed++
		}
		fmt.Println(f)
	}
	fmt.Printf("sim-planted: bugs=%d found=%d missed=%d\n", sought, sought-missed, missed)
	return min(missed, 1)
}
