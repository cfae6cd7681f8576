"""What is decided when a schedule is due. Pure: no clock, no store.

Order: `decision`, `overlap`, `soundness`, `catch_up`, `filling`, `manual`, `output`, `plan`, `before_edit`.
"""
