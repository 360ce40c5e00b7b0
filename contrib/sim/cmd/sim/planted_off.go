//go:build !planted

package main

import "github.com/mostro-cln/mostro/contrib/sim"

func hunting() bool { return false }

func hunt(sim.Options) int { return 1 }
