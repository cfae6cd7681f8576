# The same commands for those who think in make; ./dev does the work.
.PHONY: demo test check bench simulation faults soak

demo:
	./dev demo
test:
	./dev test
check:
	./dev check
bench:
	./dev bench
simulation:
	./dev simulation
faults:
	./dev faults
soak:
	./dev soak $(or $(DURATION),10m)
